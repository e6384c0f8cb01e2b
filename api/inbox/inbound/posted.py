"""Messages as a mailbox service posts them, whichever it is: raw, or as JSON in its own words."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from email.utils import formataddr
from typing import Any, Literal

from api.http.errors import Malformed
from api.inbox.inbound.message import (
    MOST_ADDRESS,
    MOST_HEADERS,
    InboundMessage,
    build_message,
    read_message,
)
from domain.bounded_json import JsonLimitExceeded, parse_json
from domain.storable_text import remove_unstorable
from email_text.bodies import MAX_TEXT_CHARACTERS, extract_html_text
from email_text.headers import MAX_HEADER_CHARACTERS, decode_header_text

Kind = Literal["message", "json"]

_RAW = ("raw", "rawemail", "rawmessage", "mime", "bodymime")
_PLAIN = ("text", "textbody", "bodyplain", "plain", "textplain", "plaintext")
_HTML = ("html", "htmlbody", "bodyhtml", "texthtml")
_GIVEN_HEADERS = ("headers", "messageheaders")
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
"""Which header a field stands for, by its name in lower-case letters alone."""
_NAME = re.compile(r"[^a-z0-9]")
_MIME_START = re.compile(r"\s*[!-9;-~]+[ \t]*:")
MOST_LISTED = 1000


def detect_kind(content_type: str) -> Kind:
    """Return what a body is read as; raises Malformed for a form, which holds neither message nor JSON."""
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
    """Return the message of a request's body; raises Malformed with what is wrong with it."""
    if kind == "message":
        return read_message(body)
    try:
        value = parse_json(body)
    except json.JSONDecodeError as error:
        raise _malformed(
            ["body"], f"is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except UnicodeDecodeError as error:
        raise _malformed(["body"], f"is not UTF-8 from byte {error.start} on") from error
    except JsonLimitExceeded as error:
        raise Malformed(f"The request body {error}.", errors=[{"location": ["body"], "message": str(error)}]) from error
    if not isinstance(value, dict):
        raise _malformed(["body"], "must be an object with raw, or with the fields of a message such as from and text")
    return _message(value)


def _message(posted: Mapping[str, Any]) -> InboundMessage:
    fields = {_NAME.sub("", str(name).lower()): value for name, value in posted.items()}
    if (raw := _text(fields, _RAW)).strip():
        return read_message(_raw(raw))
    headers = list(_headers(fields))
    known = {name.lower() for name, _ in headers}
    for name, spellings in _FIELDS.items():
        values = [_line(fields[one], name) for one in spellings if fields.get(one)]
        # A service's own id of a message is none that anybody else knows.
        if name == "Message-ID":
            values = [value for value in values if "@" in value]
        if values and name.lower() not in known:
            headers.append((name, values[0]))
    if not any(name.lower() == "from" for name, _ in headers):
        raise _malformed(["body", "from"], "is missing: give the sender, or the whole message as raw")
    text = remove_unstorable(_text(fields, _PLAIN)[:MAX_TEXT_CHARACTERS]).replace("\r\n", "\n").replace("\r", "\n")
    return build_message(headers, text if text.strip() else extract_html_text(_text(fields, _HTML)))


def _raw(text: str) -> bytes:
    """Return a message that was posted as it is, or in Base64."""
    if not _MIME_START.match(text):
        try:
            return base64.b64decode("".join(text.split()).replace("-", "+").replace("_", "/"), validate=True)
        except binascii.Error as error:
            raise _malformed(["body", "raw"], "is neither a message with headers nor Base64") from error
    return text.encode("utf-8", "replace")


def _text(fields: Mapping[str, Any], spellings: tuple[str, ...]) -> str:
    """Return the first of some fields that says anything; raises Malformed for one that is no text."""
    for name in spellings:
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            raise _malformed(["body", name], "must be a text")
        if value and value.strip():
            return str(value)
    return ""


def _headers(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    given = next((fields[one] for one in _GIVEN_HEADERS if fields.get(one)), None)
    for name, value in list(_pairs(given))[:MOST_HEADERS]:
        yield remove_unstorable(" ".join(name[:MAX_HEADER_CHARACTERS].split())), _line(value, name)


def _pairs(given: Any) -> Iterator[tuple[str, Any]]:
    """Yield the headers of an object, a list of objects or pairs, or lines; each of many values by itself."""
    if isinstance(given, str):
        given = _lines(given)
    if isinstance(given, dict):
        given = list(given.items())
    for one in given if isinstance(given, list) else []:
        pair = one
        if isinstance(one, dict):
            named = {str(key).lower(): value for key, value in one.items()}
            pair = (named.get("name", named.get("key")), named.get("value"))
        if isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str):  # noqa: PLR2004 - a pair
            for value in pair[1] if isinstance(pair[1], list) else [pair[1]]:
                yield pair[0], value


def _lines(text: str) -> Any:
    """Return the headers that a text is, as JSON in JSON or as the lines of a message."""
    if text.lstrip()[:1] in {"[", "{"}:
        try:
            return parse_json(text)
        except ValueError:
            return []
    unfolded = re.sub(r"\r?\n[ \t]+", " ", text)
    return [line.split(":", 1) for line in unfolded.splitlines() if ":" in line]


def _line(value: Any, name: str) -> str:
    """Return what one or several values are as a header's line; raises Malformed for what cannot be one."""
    values = value if isinstance(value, list) else [value]
    separator = " " if name.lower() == "references" else ", "
    line = separator.join(filter(None, (_one(one, name) for one in values[:MOST_LISTED])))
    return decode_header_text(line)


def _one(value: Any, name: str) -> str:
    if isinstance(value, dict):
        named = {_NAME.sub("", str(key).lower()): held for key, held in value.items()}
        address = named.get("email") or named.get("address") or named.get("mail")
        if not isinstance(address, str):
            raise _malformed(["body", name], "must be a text, or an object with an email")
        shown = named.get("name")
        is_named = isinstance(shown, str) and address.isascii()
        return formataddr((str(shown)[:MOST_ADDRESS], address)) if is_named else address
    if isinstance(value, bool | list):
        raise _malformed(["body", name], "must be a text")
    return "" if value is None else str(value)


def _malformed(place: list[str | int], message: str) -> Malformed:
    problem = {"location": place, "message": message}
    return Malformed(f"{'.'.join(map(str, place))}: {message}.", errors=[problem])
