"""Parses the body of a webhook request into JSON objects: JSON or a form, plain, gzipped or multipart."""

import codecs
import json
import re
import zlib
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

from domain.bounded_json import MAX_DEPTH as MAX_FORM_DEPTH
from domain.bounded_json import JsonLimitExceeded, parse_json, require_json_limits
from email_text.bounded_mime import MimeLimitExceeded, parse_message
from everlytic.errors import MalformedDelivery
from everlytic.protocol import MAX_DEPTH

MAX_UNZIPPED_BYTES = 50 * 1024 * 1024
"""The maximum size of a gzipped body after unzipping."""
_GZIP_MAGIC = b"\x1f\x8b"


def parse_payloads(body: bytes, content_type: str) -> list[dict[str, Any]]:
    """Return the JSON objects of a body; a wrong content type (JSON declared as form, or the reverse) is tolerated.

    Raises MalformedDelivery.
    """
    if not body.strip():
        raise MalformedDelivery("The webhook body is empty.")
    declared = Message()
    declared["Content-Type"] = re.sub(r"[^ -~]", " ", content_type)
    body = _unzip(body)
    if declared.get_content_maintype() == "multipart":
        value = _parse_pairs(_extract_parts(body, declared))
        objects = [value] if isinstance(value, dict) else []
    else:
        text = _decode(body, declared.get_content_charset())
        objects = _parse_objects(text, is_form="form-urlencoded" in content_type.lower())
    if not objects:
        _require_limits(body)
        raise MalformedDelivery("The webhook body is neither a JSON object nor a form with an event.")
    return objects


def _require_limits(body: bytes) -> None:
    """Raise MalformedDelivery with the exceeded limit, if that is why the body cannot be parsed."""
    try:
        require_json_limits(_decode(body, None), max_depth=MAX_DEPTH)
    except JsonLimitExceeded as error:
        raise MalformedDelivery(f"The webhook body {error}.") from error


def _unzip(body: bytes) -> bytes:
    if not body.startswith(_GZIP_MAGIC):
        return body
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unzip.decompress(body, MAX_UNZIPPED_BYTES)
    except zlib.error as error:
        raise MalformedDelivery("The gzipped webhook body is corrupt.") from error
    if not unzip.eof:
        raise MalformedDelivery(f"The gzipped webhook body is truncated, or larger than {MAX_UNZIPPED_BYTES} bytes.")
    return plain


def _decode(body: bytes, charset: str | None) -> str:
    """Decode with the declared charset, else the detected JSON encoding, else Latin-1, which accepts any bytes."""
    for encoding in (charset, json.detect_encoding(body)):
        try:
            name = codecs.lookup(encoding or "").name
            if name.startswith(_ENCODINGS):
                return body.decode("utf-8-sig" if name == "utf-8" else name)
        except (LookupError, ValueError):
            continue
    return body.decode("latin-1")


_ENCODINGS = ("ascii", "cp12", "iso8859", "utf-8", "utf-16", "utf-32")


def _parse_objects(text: str, *, is_form: bool) -> list[dict[str, Any]]:
    for parse in (_parse_form, _try_parse_json) if is_form else (_try_parse_json, _parse_form):
        value = parse(text)
        items = value if isinstance(value, list) else [value]
        objects = [item for item in items if isinstance(item, dict) and item]
        if objects:
            return objects
    return []


def _try_parse_json(text: str) -> object:
    """Return the value of a JSON text, or None when it cannot be parsed."""
    try:
        return parse_json(text, max_depth=MAX_DEPTH)
    except ValueError:
        return None


def _extract_parts(body: bytes, declared: Message) -> list[tuple[str, str]]:
    """Return the named parts of a multipart form."""
    head = f"Content-Type: {declared['Content-Type']}\r\n\r\n".encode()
    pairs = []
    try:
        message = parse_message(head + body)
    except MimeLimitExceeded as error:
        raise MalformedDelivery(f"The webhook body {error}.") from error
    for part in message.walk():
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            pairs.append((name, _decode(content, part.get_content_charset())))
    return pairs


def _parse_form(text: str) -> object:
    return _parse_pairs(parse_qsl(text, keep_blank_values=True))


def _parse_pairs(pairs: list[tuple[str, str]]) -> object:
    """Parse a form with JSON in ``event``, ``payload`` or ``data``, or with PHP brackets (``event[trans_id]=``)."""
    if not pairs or any(name.lstrip().startswith(("{", "[")) for name, _ in pairs):
        return None
    tree: dict[str, Any] = {}
    for name, text_value in pairs:
        path = [part for part in re.split(r"[\[\]]+", name) if part]
        if len(path) > MAX_FORM_DEPTH:
            raise MalformedDelivery(f"The webhook body nests deeper than {MAX_FORM_DEPTH} levels.")
        _insert(tree, path, text_value)
    value = _restore_lists(tree)
    if not isinstance(value, dict):
        return None
    for name in ("event", "payload", "data"):
        inner = _try_parse_json(value[name]) if isinstance(value.get(name), str) else None
        if isinstance(inner, dict) and ("event" in inner or "data" in inner):
            return inner
        if isinstance(inner, dict | list):
            return {"event": inner}
    return value if isinstance(value.get("event"), dict | list) or "data" in value or "event_type" in value else None


_MAX_INDEX_LENGTH = 10


def _insert(tree: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    if path:
        tree[path[-1]] = value


def _restore_lists(node: object) -> object:
    """Convert objects with the names 0, 1, 2 … into lists."""
    if not isinstance(node, dict):
        return node
    inner = {name: _restore_lists(child) for name, child in node.items()}
    if inner and all(name.isascii() and name.isdigit() and len(name) < _MAX_INDEX_LENGTH for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner
