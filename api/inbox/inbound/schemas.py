"""The OpenAPI schema of a posted message, and the answer to it."""

from typing import Any

from api.http.pagination import Wire

_ADDRESSES = {
    "description": "An address with or without a name, a list of addresses, or objects with `email` and `name`.",
    "examples": ["Thandi <thandi@lead.example>"],
}
SCHEMA: dict[str, Any] = {
    "title": "PostedMessage",
    "type": "object",
    "description": (
        "Either `raw`, or the fields of a message, of which `from` is required. Names count in any case and in the"
        " usual spellings (`TextBody`, `body-plain` and `text` are the same), and other fields are ignored."
    ),
    "properties": {
        "raw": {"type": "string", "description": "The whole RFC 5322 message as text or in Base64."},
        "from": _ADDRESSES,
        "to": _ADDRESSES,
        "cc": _ADDRESSES,
        "subject": {"type": "string"},
        "text": {"type": "string"},
        "html": {"type": "string", "description": "Used if `text` is empty."},
        "headers": {
            "description": "An object, a list of `{name, value}` or of pairs, or lines; headers precede fields.",
            "examples": [{"In-Reply-To": "<018f0000-0000-7000-8000-000000000001@acme.example>"}],
        },
        "messageId": {"type": "string"},
        "inReplyTo": {"type": "string"},
        "references": {"description": "Ids in one string or in a list."},
        "date": {"type": "string"},
    },
}
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "message/rfc822": {"schema": {"type": "string", "format": "binary"}},
        "text/plain": {"schema": {"type": "string"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "application/json": {"schema": SCHEMA},
    },
}


class ReplyReceipt(Wire):
    """The reply is stored or was stored before; with `own` it is ignored, because the workspace itself sent it."""

    stored: bool = True
    duplicate: bool = False
    own: bool = False
