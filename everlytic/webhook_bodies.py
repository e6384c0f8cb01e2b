"""The body of a pushed request as JSON objects, whatever it says it is: JSON or a form, plain, zipped or in parts."""

import codecs
import json
import re
import zlib
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

from domain.bounded_json import MAX_DEPTH as MAX_FORM_DEPTH
from domain.bounded_json import JsonLimitExceeded, parse_json, require_json_limits
from domain.bounded_mime import PartsNestTooDeep, parse_message
from everlytic.errors import MalformedDelivery
from everlytic.protocol import MAX_DEPTH

MOST_BYTES = 50 * 1024 * 1024
"""Of a body that was zipped."""
_ZIPPED = b"\x1f\x8b"


def read_payloads(body: bytes, content_type: str) -> list[dict[str, Any]]:
    """The JSON objects of a body. A body that says it is a form but is JSON is read as JSON, and the reverse.

    Raises MalformedDelivery.
    """
    if not body.strip():
        raise MalformedDelivery("The webhook body is empty.")
    said = Message()
    said["Content-Type"] = re.sub(r"[^ -~]", " ", content_type)
    body = _unzipped(body)
    if said.get_content_maintype() == "multipart":
        value = _from_pairs(_parts(body, said))
        found = [value] if isinstance(value, dict) else []
    else:
        found = _objects(_text(body, said.get_content_charset()), is_form="form-urlencoded" in content_type.lower())
    if not found:
        _require_limits(body)
        raise MalformedDelivery("The webhook body is neither a JSON object nor a form with an event.")
    return found


def _require_limits(body: bytes) -> None:
    """Raise MalformedDelivery with the limit that a body is beyond, if that is why it cannot be read."""
    try:
        require_json_limits(_text(body, None), max_depth=MAX_DEPTH)
    except JsonLimitExceeded as error:
        raise MalformedDelivery(f"The webhook body {error}.") from error


def _unzipped(body: bytes) -> bytes:
    if not body.startswith(_ZIPPED):
        return body
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unzip.decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise MalformedDelivery("The webhook body is zipped, and broken.") from error
    if not unzip.eof:
        raise MalformedDelivery(f"The webhook body is zipped, and cut off or larger than {MOST_BYTES} bytes.")
    return plain


def _text(body: bytes, charset: str | None) -> str:
    """The body as text: as it says, else as JSON may be encoded; what cannot be read so is taken byte by byte."""
    for encoding in (charset, json.detect_encoding(body)):
        try:
            name = codecs.lookup(encoding or "").name
            if name.startswith(_ENCODINGS):
                return body.decode("utf-8-sig" if name == "utf-8" else name)
        except (LookupError, ValueError):
            continue
    return body.decode("latin-1")


_ENCODINGS = ("ascii", "cp12", "iso8859", "utf-8", "utf-16", "utf-32")


def _objects(text: str, *, is_form: bool) -> list[dict[str, Any]]:
    for read in (_from_form, from_json) if is_form else (from_json, _from_form):
        value = read(text)
        found = value if isinstance(value, list) else [value]
        objects = [one for one in found if isinstance(one, dict) and one]
        if objects:
            return objects
    return []


def from_json(text: str) -> object:
    """The value of a JSON text; None where it cannot be read."""
    try:
        return parse_json(text, max_depth=MAX_DEPTH)
    except ValueError:
        return None


def _parts(body: bytes, said: Message) -> list[tuple[str, str]]:
    """The named parts of a multipart form."""
    head = f"Content-Type: {said['Content-Type']}\r\n\r\n".encode()
    pairs = []
    try:
        message = parse_message(head + body)
    except PartsNestTooDeep as error:
        raise MalformedDelivery(f"The webhook body {error}.") from error
    for part in message.walk():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            pairs.append((name, _text(content, part.get_content_charset())))
    return pairs


def _from_form(text: str) -> object:
    return _from_pairs(parse_qsl(text, keep_blank_values=True))


def _from_pairs(pairs: list[tuple[str, str]]) -> object:
    """A form: JSON in the field ``event`` (or ``payload``, ``data``), or PHP's bracket names (``event[trans_id]=``)."""
    if not pairs or any(name.lstrip().startswith(("{", "[")) for name, _ in pairs):
        return None
    tree: dict[str, Any] = {}
    for name, text_value in pairs:
        path = [part for part in re.split(r"[\[\]]+", name) if part]
        if len(path) > MAX_FORM_DEPTH:
            raise MalformedDelivery(f"The webhook body nests deeper than {MAX_FORM_DEPTH} levels.")
        _plant(tree, path, text_value)
    value = _listed(tree)
    if not isinstance(value, dict):
        return None
    for name in ("event", "payload", "data"):
        inner = from_json(value[name]) if isinstance(value.get(name), str) else None
        if isinstance(inner, dict) and ("event" in inner or "data" in inner):
            return inner
        if isinstance(inner, dict | list):
            return {"event": inner}
    return value if isinstance(value.get("event"), dict | list) or "data" in value or "event_type" in value else None


_LONGEST_INDEX = 10


def _plant(tree: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    if path:
        tree[path[-1]] = value


def _listed(node: object) -> object:
    """Turn objects whose names are 0, 1, 2 … back into lists."""
    if not isinstance(node, dict):
        return node
    inner = {name: _listed(one) for name, one in node.items()}
    if inner and all(name.isascii() and name.isdigit() and len(name) < _LONGEST_INDEX for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
