"""The signed token in the unsubscribe link of every mail, which names the lead and the mail."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from html import unescape
from itertools import islice
from urllib.parse import unquote
from uuid import UUID

PURPOSE = b"salesmatter unsubscribe link 1"
ID_BYTES = 16
MAC_BYTES = 16
SIGNED_BYTES = 3 * ID_BYTES
MAX_LINK_CHARACTERS = 2000
"""What is read of a link after `/u/`; a token and what mail programs add are much shorter."""

MOST_CANDIDATES = 64
"""How many signatures are checked for one link."""
MOST_LEADING = 16
"""How many letters before a token in the same word are skipped, such as `3D` of an encoded `=`."""
TOKEN_CHARACTERS = 86

_LINE_BREAK = re.compile(r"(?:=(?:3D)?)?(?:[\r\n]|=0D|=0A)+|\s+|[\u00ad\u200b-\u200f\u2060\ufeff]+", re.IGNORECASE)
_WORD = re.compile(rf"[\w-]{{{TOKEN_CHARACTERS},}}", re.ASCII)

_WORKSPACE_WORD = re.compile(r"[\w-]{22}", re.ASCII)
"""The characters of a token that contain its first id."""


class InvalidToken(ValueError):
    """The token is incomplete, or is not signed with one of the keys."""


@dataclass(frozen=True, slots=True)
class UnsubscribeToken:
    """The content of a token: a lead of a workspace, and the mail with the link."""

    workspace_id: UUID
    lead_id: UUID
    draft_id: UUID


def unsubscribe_token(keys: str, workspace_id: UUID, lead_id: UUID, draft_id: UUID) -> str:
    """Return the token of a mail, signed with the first of the comma-separated `keys`: 86 URL-safe characters."""
    signed = workspace_id.bytes + lead_id.bytes + draft_id.bytes
    return base64.urlsafe_b64encode(signed + _mac(_signing_keys(keys)[0], signed)).decode().rstrip("=")


def build_unsubscribe_url(keys: str, public_url: str, workspace_id: UUID, lead_id: UUID, draft_id: UUID) -> str:
    """Return the unsubscribe URL of a mail, which is always the same for the same mail."""
    return f"{public_url.rstrip('/')}/u/{unsubscribe_token(keys, workspace_id, lead_id, draft_id)}"


def read_unsubscribe_link(keys: str, text: str) -> UnsubscribeToken:
    """Return the content of the signed token in what follows `/u/` in a link; raises InvalidToken.

    Mail programs put punctuation, quotes, line breaks and parts of a query around and into the token, plain, encoded
    for a URL, as quoted-printable or as HTML. Every likely start of a token is tried; only a valid signature counts.
    """
    for candidate in islice(_candidates(text[:MAX_LINK_CHARACTERS]), MOST_CANDIDATES):
        with suppress(InvalidToken):
            return read_unsubscribe_token(keys, candidate)
    raise InvalidToken("The link has no valid token.")


def _candidates(text: str) -> Iterator[str]:
    """Yield what can be a token: first with line breaks taken out, then as it stands."""
    text = unescape(unquote(unquote(text)))
    for variant in dict.fromkeys((_LINE_BREAK.sub("", text), text)):
        for match in _WORD.finditer(variant):
            last = len(match[0]) - TOKEN_CHARACTERS
            for start in dict.fromkeys((0, last, *range(min(last, MOST_LEADING + 1)))):
                yield match[0][start : start + TOKEN_CHARACTERS]


def find_workspace_id(text: str) -> UUID | None:
    """Return the workspace that a broken link names with the first characters of its token, without any proof."""
    word = _WORKSPACE_WORD.search(unescape(unquote(text[:MAX_LINK_CHARACTERS])))
    return UUID(bytes=base64.urlsafe_b64decode(f"{word[0]}==")[:ID_BYTES]) if word else None


def read_unsubscribe_token(keys: str, token: str) -> UnsubscribeToken:
    """Return the content of a token signed with any of `keys`; raises InvalidToken."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidToken("The token is incomplete.") from error
    signed, mac = raw[:SIGNED_BYTES], raw[SIGNED_BYTES:]
    if not any(hmac.compare_digest(mac, _mac(key, signed)) for key in _signing_keys(keys)):
        raise InvalidToken("The token has an invalid signature.")
    ids = (UUID(bytes=signed[start : start + ID_BYTES]) for start in range(0, SIGNED_BYTES, ID_BYTES))
    return UnsubscribeToken(*ids)


def _signing_keys(keys: str) -> list[bytes]:
    """Return keys derived for this purpose only, so that no other signature is valid as a token."""
    return [hmac.digest(key.strip().encode(), PURPOSE, "sha256") for key in keys.split(",") if key.strip()]


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha256).digest()[:MAC_BYTES]
