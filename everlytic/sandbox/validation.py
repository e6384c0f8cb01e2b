"""The v1 request schema, enforced strictly where it is documented; every violation is named with its place."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

Problems = list[tuple[str, str, str]]
"""(location, reason, message)"""

EVENT_TYPES = ("sent", "delivered", "failed", "open", "click", "bounce", "unsubscribe", "resubscribe")
VERBS = ("get", "put", "post", "patch", "delete")
CONTENT_TYPES = ("application/x-www-form-urlencoded", "application/json")

_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>.]+")
_MISSING = object()

Check = Callable[[object], bool]


def is_text(value: object) -> bool:
    """A string."""
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None


def _is_header_map(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in value.values()
    )


def _is_unique_fields(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and len(one) == 1 and all(isinstance(fields, dict) for fields in one.values())
        for one in value
    )


class Reader:
    """Reads fields of nested objects and collects what is wrong with them."""

    def __init__(self) -> None:
        self.problems: Problems = []

    def refuse(self, place: str, reason: str, message: str) -> None:
        """Note one problem."""
        self.problems.append((place, reason, message))

    def field(self, holder: dict[str, Any], place: str, check: Check, what: str, *, required: bool = False) -> Any:
        """The last part of ``place`` in ``holder`` if it passes ``check``, else None and a problem."""
        value = holder.get(place.rpartition(".")[2], _MISSING)
        if value is _MISSING or value is None or (required and value == ""):
            if required:
                self.refuse(place, "required", f"The field {place} is required")
            return None
        if not check(value):
            self.refuse(place, "invalid", f"The field {place} must be {what}")
            return None
        return value

    def part(self, holder: dict[str, Any], place: str, *, required: bool = False) -> dict[str, Any]:
        """An inner object; empty when absent or wrong."""
        return self.field(holder, place, lambda one: isinstance(one, dict), "an object", required=required) or {}

    def mailbox(self, holder: dict[str, Any], place: str, *, required: bool = False) -> tuple[str, str]:
        """Address and name of one ``{email, name}`` object."""
        inner = self.part(holder, place, required=required)
        if not inner:
            return "", ""
        email = self.field(inner, f"{place}.email", _is_address, "an email address", required=True)
        return email or "", self.field(inner, f"{place}.name", is_text, "a string") or ""

    def mailboxes(self, holder: dict[str, Any], place: str, *, required: bool = False) -> list[tuple[str, str]]:
        """The same for an array of them."""
        listed = self.field(holder, place, lambda one: isinstance(one, list), "an array", required=required) or []
        if required and listed == [] and not self.problems:
            self.refuse(place, "required", f"The field {place} needs an address")
        return [self.mailbox({str(n): one}, f"{place}.{n}", required=True) for n, one in enumerate(listed)]


def read_mail(value: dict[str, Any]) -> tuple[dict[str, Any], Problems]:
    """The documented fields of a v1 send, flat, and what is wrong with it."""
    read = Reader()
    headers, body, options = (
        read.part(value, "headers", required=True),
        read.part(value, "body"),
        read.part(value, "options"),
    )
    template_id = read.field(options, "options.template_id", is_text, "a string")
    full = template_id is None
    fields: dict[str, Any] = {
        "to": read.mailboxes(headers, "headers.to", required=True),
        "cc": read.mailboxes(headers, "headers.cc"),
        "bcc": read.mailboxes(headers, "headers.bcc"),
        "from": read.mailbox(headers, "headers.from", required=full)[0],
        "reply_to": read.mailbox(headers, "headers.reply_to")[0],
        "subject": read.field(headers, "headers.subject", is_text, "a string", required=full),
        "message_id": read.field(headers, "headers.message_id", is_text, "a string"),
        "custom_headers": read.field(
            headers, "headers.custom_headers", _is_header_map, "a map of names to arrays of strings"
        ),
        "html": read.field(body, "body.html", is_text, "a string"),
        "text": read.field(body, "body.text", is_text, "a string"),
        "group_name": read.field(options, "options.group_name", is_text, "a string"),
        "template_id": template_id,
        "track_opens": read.field(options, "options.track_opens", _is_flag, "a boolean"),
        "track_links": read.field(options, "options.track_links", _is_flag, "a boolean"),
    }
    if full and not fields["html"] and not fields["text"]:
        read.refuse("body.html", "required", "The body needs html or text")
    personal = read.part(body, "body.personalisation_fields")
    read.part(personal, "body.personalisation_fields.common_fields")
    place = "body.personalisation_fields.unique_fields"
    read.field(personal, place, _is_unique_fields, "an array of one-key objects")
    _read_attachments(read, value)
    return fields, read.problems


def _read_attachments(read: Reader, value: dict[str, Any]) -> None:
    attachments = read.part(value, "attachments")
    files = read.field(attachments, "attachments.data", lambda one: isinstance(one, list), "an array") or []
    for number, file in enumerate(files):
        place = f"attachments.data.{number}"
        inner = read.part({str(number): file}, place, required=True)
        read.field(inner, f"{place}.filename", is_text, "a string", required=True)
        read.field(inner, f"{place}.data", _is_base64, "base64 text")
    read.field(read.part(attachments, "attachments.options"), "attachments.options.track", _is_flag, "a boolean")


def _is_base64(value: object) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


def read_webhook(value: dict[str, Any]) -> tuple[dict[str, Any], Problems]:
    """A webhook registration with its defaults, and what is wrong with it."""
    read = Reader()
    types = read.field(value, "event_types", _is_event_types, f"an array of {', '.join(EVENT_TYPES)}", required=True)
    url = read.field(value, "url", is_url, "a valid URL", required=True)
    verb = read.field(value, "verb", lambda one: one in VERBS, f"one of {', '.join(VERBS)}", required=True)
    content_type = read.field(
        value, "content_type", lambda one: one in CONTENT_TYPES, f"one of {', '.join(CONTENT_TYPES)}"
    )
    field_set = read.field(value, "field_set", lambda one: one in ("standard", "legacy"), "standard or legacy")
    settings = read.part(value, "settings")
    read.field(settings, "settings.include_html", _is_flag, "a boolean")
    details = read.part(value, "auth_details")
    if details:
        read.field(details, "auth_details.username", is_text, "a string", required=True)
        read.field(details, "auth_details.password", is_text, "a string", required=True)
    auth_type = read.field(value, "auth_type", lambda one: one == "basic", "basic", required=bool(details))
    registration = {
        "url": url,
        "verb": verb,
        "event_types": types,
        "auth_details": details or None,
        "auth_type": auth_type,
        "content_type": content_type or "application/json",
        "field_set": field_set or "standard",
        "settings": {"include_html": False, **settings},
    }
    return registration, read.problems


def _is_event_types(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(one in EVENT_TYPES for one in value)


def is_url(value: object) -> bool:
    """An http or https address with a host."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
