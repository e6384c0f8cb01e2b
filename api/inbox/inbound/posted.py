"""Parses messages that mailbox services post: raw, or as JSON with each service's own field names."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from email.utils import formataddr
from typing import Any, Literal

from api.http.errors import Malformed
from api.inbox.inbound.message import (
    MAX_HEADERS,
    InboundMessage,
    build_message,
    read_message,
)
from domain.bounded_json import JsonLimitExceeded, parse_json
from domain.storable_text import remove_unstorable
from domain.suppression import MAX_ADDRESS_CHARACTERS
from email_text.bodies import MAX_TEXT_CHARACTERS, extract_html_text
from email_text.headers import MAX_HEADER_CHARACTERS, unfold_header

Kind = Literal["message", "json"]

_RAW = ("raw", "rawemail", "rawmessage", "mime", "bodymime")
_PLAIN = ("text", "textbody", "bodyplain", "plain", "textplain", "plaintext")
_HTML = ("html", "htmlbody", "bodyhtml", "texthtml")
_HEADER_FIELDS = ("headers", "messageheaders")
_FIELDS = {
    "From": ("from", "fromfull", "fromaddress", "fromemail", "sender"),
    "To": ("to", "tofull"),
    "Cc": ("cc", "ccfull"),
    "Subject": ("subject",),
    "Date": ("date",),
    "Message-ID": ("messageid",),
    "In-Reply-To": ("inreplyto",),
    "References": ("references",),
    "X-Original-To": ("originalrecipient", "recipient", "envelopeto", "deliveredto"),
}
"""The fields of each header, by their names in lower case without other characters than letters and digits."""
_NOT_IN_NAME = re.compile(r"[^a-z0-9]")
_MIME_START = re.compile(r"\s*[!-9;-~]+[ \t]*:")
MAX_LIST_ITEMS = 1000
"""How many items of a list of addresses or ids are read."""


def detect_kind(content_type: str) -> Kind:
    """Return the kind of a body; raises Malformed for a form, which is neither a message nor JSON."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return "json"
    if media_type in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        raise Malformed(
            "Forms are not supported. Post the raw message (message/rfc822) or JSON.",
            errors=[{"location": ["header", "Content-Type"], "message": f"must not be {media_type}"}],
        )
    return "message"


def read_posted(body: bytes, kind: Kind) -> InboundMessage:
    """Return the message in a request body; raises Malformed, which names the wrong field."""
    if kind == "message":
        return read_message(body)
    try:
        value = parse_json(body)
    except json.JSONDecodeError as error:
        raise _malformed(
            ["body"], f"is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except UnicodeDecodeError as error:
        raise _malformed(["body"], f"is not valid UTF-8 at byte {error.start}") from error
    except JsonLimitExceeded as error:
        raise Malformed(f"The request body {error}.", errors=[{"location": ["body"], "message": str(error)}]) from error
    if not isinstance(value, dict):
        raise _malformed(["body"], "must be an object with raw, or with the fields of a message, such as from and text")
    return _build_posted_message(value)


def _build_posted_message(posted: Mapping[str, Any]) -> InboundMessage:
    fields = {_NOT_IN_NAME.sub("", str(name).lower()): value for name, value in posted.items()}
    if (raw := _get_text(fields, _RAW)).strip():
        return read_message(_decode_raw(raw))
    headers = list(_read_headers(fields))
    known = {name.lower() for name, _ in headers}
    for name, field_names in _FIELDS.items():
        values = [_format_header(fields[field], name) for field in field_names if fields.get(field)]
        # An id without @ is the service's own, which no other mail refers to.
        if name == "Message-ID":
            values = [value for value in values if "@" in value]
        if values and name.lower() not in known:
            headers.append((name, values[0]))
    if not any(name.lower() == "from" for name, _ in headers):
        raise _malformed(["body", "from"], "is missing; set it to the sender, or post the whole message as raw")
    text = remove_unstorable(_get_text(fields, _PLAIN)[:MAX_TEXT_CHARACTERS]).replace("\r\n", "\n").replace("\r", "\n")
    return build_message(headers, text if text.strip() else extract_html_text(_get_text(fields, _HTML)))


def _decode_raw(text: str) -> bytes:
    """Return the bytes of a message that was posted as text or in Base64."""
    if not _MIME_START.match(text):
        try:
            return base64.b64decode("".join(text.split()).replace("-", "+").replace("_", "/"), validate=True)
        except ValueError as error:
            raise _malformed(["body", "raw"], "is neither a message with headers nor Base64") from error
    return text.encode("utf-8", "replace")


def _get_text(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return the first of these fields with a text; raises Malformed for a field that is not a text."""
    for name in names:
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            raise _malformed(["body", name], "must be a string")
        if value and value.strip():
            return str(value)
    return ""


def _read_headers(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    headers = next((fields[name] for name in _HEADER_FIELDS if fields.get(name)), None)
    for name, value in list(_iterate_headers(headers))[:MAX_HEADERS]:
        yield remove_unstorable(" ".join(name[:MAX_HEADER_CHARACTERS].split())), _format_header(value, name)


def _iterate_headers(headers: Any) -> Iterator[tuple[str, Any]]:
    """Yield the headers in an object, a list of objects or pairs, or lines; a list of values gives several headers."""
    if isinstance(headers, str):
        headers = _parse_lines(headers)
    if isinstance(headers, dict):
        headers = list(headers.items())
    for header in headers if isinstance(headers, list) else []:
        pair = header
        if isinstance(header, dict):
            fields = {str(key).lower(): value for key, value in header.items()}
            pair = (fields.get("name", fields.get("key")), fields.get("value"))
        if isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str):  # noqa: PLR2004 - a pair
            for value in pair[1] if isinstance(pair[1], list) else [pair[1]]:
                yield pair[0], value


def _parse_lines(text: str) -> Any:
    """Return the headers in a text, which is JSON or the header lines of a message."""
    if text.lstrip()[:1] in {"[", "{"}:
        try:
            return parse_json(text)
        except ValueError:
            return []
    unfolded = re.sub(r"\r?\n[ \t]+", " ", text)
    return [line.split(":", 1) for line in unfolded.splitlines() if ":" in line]


def _format_header(value: Any, name: str) -> str:
    """Return one or several values as the raw value of a header; raises Malformed for other types."""
    values = value if isinstance(value, list) else [value]
    separator = " " if name.lower() == "references" else ", "
    texts = (_format_value(item, name) for item in values[:MAX_LIST_ITEMS])
    return unfold_header(separator.join(filter(None, texts)))


def _format_value(value: Any, name: str) -> str:
    if isinstance(value, dict):
        fields = {_NOT_IN_NAME.sub("", str(key).lower()): item for key, item in value.items()}
        address = fields.get("email") or fields.get("address") or fields.get("mail")
        if not isinstance(address, str):
            raise _malformed(["body", name], "must be a string, or an object with an email")
        display_name = fields.get("name")
        has_name = isinstance(display_name, str) and address.isascii()
        return formataddr((str(display_name)[:MAX_ADDRESS_CHARACTERS], address)) if has_name else address
    if isinstance(value, bool | list):
        raise _malformed(["body", name], "must be a string")
    return "" if value is None else str(value)


def _malformed(place: list[str | int], message: str) -> Malformed:
    problem = {"location": place, "message": message}
    return Malformed(f"{'.'.join(map(str, place))}: {message}.", errors=[problem])
