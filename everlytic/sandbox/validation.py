"""Validates v1 requests strictly against the documented schema and reports every problem with its location."""

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
    """Return whether a value is a string."""
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
        isinstance(entry, dict) and len(entry) == 1 and all(isinstance(fields, dict) for fields in entry.values())
        for entry in value
    )


class FieldReader:
    """Reads fields of nested objects and collects their problems."""

    def __init__(self) -> None:
        self.problems: Problems = []

    def add_problem(self, path: str, reason: str, message: str) -> None:
        """Add one problem."""
        self.problems.append((path, reason, message))

    def read_field(
        self, parent: dict[str, Any], path: str, check: Check, expected: str, *, required: bool = False
    ) -> Any:
        """Return the field of ``parent`` at the end of ``path`` if it passes ``check``; else add a problem."""
        value = parent.get(path.rpartition(".")[2], _MISSING)
        if value is _MISSING or value is None or (required and value == ""):
            if required:
                self.add_problem(path, "required", f"The field {path} is required")
            return None
        if not check(value):
            self.add_problem(path, "invalid", f"The field {path} must be {expected}")
            return None
        return value

    def read_object(self, parent: dict[str, Any], path: str, *, required: bool = False) -> dict[str, Any]:
        """Return an inner object, empty when it is absent or invalid."""
        return (
            self.read_field(parent, path, lambda value: isinstance(value, dict), "an object", required=required) or {}
        )

    def read_mailbox(self, parent: dict[str, Any], path: str, *, required: bool = False) -> tuple[str, str]:
        """Return the address and name of an ``{email, name}`` object."""
        mailbox = self.read_object(parent, path, required=required)
        if not mailbox:
            return "", ""
        email = self.read_field(mailbox, f"{path}.email", _is_address, "an email address", required=True)
        return email or "", self.read_field(mailbox, f"{path}.name", is_text, "a string") or ""

    def read_mailboxes(self, parent: dict[str, Any], path: str, *, required: bool = False) -> list[tuple[str, str]]:
        """Return the addresses and names of an array of ``{email, name}`` objects."""
        items = (
            self.read_field(parent, path, lambda value: isinstance(value, list), "an array", required=required) or []
        )
        if required and items == [] and not self.problems:
            self.add_problem(path, "required", f"The field {path} needs an address")
        return [self.read_mailbox({str(n): item}, f"{path}.{n}", required=True) for n, item in enumerate(items)]


def validate_mail(value: dict[str, Any]) -> tuple[dict[str, Any], Problems]:
    """Return the documented fields of a v1 send, flat, and its problems."""
    reader = FieldReader()
    headers, body, options = (
        reader.read_object(value, "headers", required=True),
        reader.read_object(value, "body"),
        reader.read_object(value, "options"),
    )
    template_id = reader.read_field(options, "options.template_id", is_text, "a string")
    has_content = template_id is None
    fields: dict[str, Any] = {
        "to": reader.read_mailboxes(headers, "headers.to", required=True),
        "cc": reader.read_mailboxes(headers, "headers.cc"),
        "bcc": reader.read_mailboxes(headers, "headers.bcc"),
        "from": reader.read_mailbox(headers, "headers.from", required=has_content)[0],
        "reply_to": reader.read_mailbox(headers, "headers.reply_to")[0],
        "subject": reader.read_field(headers, "headers.subject", is_text, "a string", required=has_content),
        "message_id": reader.read_field(headers, "headers.message_id", is_text, "a string"),
        "custom_headers": reader.read_field(
            headers, "headers.custom_headers", _is_header_map, "a map of names to arrays of strings"
        ),
        "html": reader.read_field(body, "body.html", is_text, "a string"),
        "text": reader.read_field(body, "body.text", is_text, "a string"),
        "group_name": reader.read_field(options, "options.group_name", is_text, "a string"),
        "template_id": template_id,
        "track_opens": reader.read_field(options, "options.track_opens", _is_flag, "a boolean"),
        "track_links": reader.read_field(options, "options.track_links", _is_flag, "a boolean"),
    }
    if has_content and not fields["html"] and not fields["text"]:
        reader.add_problem("body.html", "required", "The body needs html or text")
    personalisation = reader.read_object(body, "body.personalisation_fields")
    reader.read_object(personalisation, "body.personalisation_fields.common_fields")
    path = "body.personalisation_fields.unique_fields"
    reader.read_field(personalisation, path, _is_unique_fields, "an array of one-key objects")
    _read_attachments(reader, value)
    return fields, reader.problems


def _read_attachments(reader: FieldReader, value: dict[str, Any]) -> None:
    attachments = reader.read_object(value, "attachments")
    files = reader.read_field(attachments, "attachments.data", lambda data: isinstance(data, list), "an array") or []
    for number, file in enumerate(files):
        path = f"attachments.data.{number}"
        attachment = reader.read_object({str(number): file}, path, required=True)
        reader.read_field(attachment, f"{path}.filename", is_text, "a string", required=True)
        reader.read_field(attachment, f"{path}.data", _is_base64, "base64 text")
    reader.read_field(
        reader.read_object(attachments, "attachments.options"), "attachments.options.track", _is_flag, "a boolean"
    )


def _is_base64(value: object) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


def validate_webhook(value: dict[str, Any]) -> tuple[dict[str, Any], Problems]:
    """Return a webhook registration with its defaults, and its problems."""
    reader = FieldReader()
    types = reader.read_field(
        value, "event_types", _is_event_types, f"an array of {', '.join(EVENT_TYPES)}", required=True
    )
    url = reader.read_field(value, "url", is_url, "a valid URL", required=True)
    verb = reader.read_field(value, "verb", lambda value: value in VERBS, f"one of {', '.join(VERBS)}", required=True)
    content_type = reader.read_field(
        value, "content_type", lambda value: value in CONTENT_TYPES, f"one of {', '.join(CONTENT_TYPES)}"
    )
    field_set = reader.read_field(
        value, "field_set", lambda value: value in ("standard", "legacy"), "standard or legacy"
    )
    settings = reader.read_object(value, "settings")
    reader.read_field(settings, "settings.include_html", _is_flag, "a boolean")
    details = reader.read_object(value, "auth_details")
    if details:
        reader.read_field(details, "auth_details.username", is_text, "a string", required=True)
        reader.read_field(details, "auth_details.password", is_text, "a string", required=True)
    auth_type = reader.read_field(value, "auth_type", lambda value: value == "basic", "basic", required=bool(details))
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
    return registration, reader.problems


def _is_event_types(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(event_type in EVENT_TYPES for event_type in value)


def is_url(value: object) -> bool:
    """Return whether a value is an http or https URL with a host."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
