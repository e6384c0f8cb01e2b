"""The signed token in every mail's unsubscribe link: whose no it is, and to which mail."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

from api.settings import ApiSettings

PURPOSE = b"salesmatter unsubscribe link 1"
ID_BYTES = 16
MAC_BYTES = 16
SIGNED_BYTES = 3 * ID_BYTES


class InvalidToken(ValueError):
    """The token was not made with one of the keys, or is not whole."""


@dataclass(frozen=True, slots=True)
class UnsubscribeToken:
    """What a link stands for: a lead of a workspace, and the mail that carried the link."""

    workspace_id: UUID
    lead_id: UUID
    draft_id: UUID


def unsubscribe_token(keys: str, workspace_id: UUID, lead_id: UUID, draft_id: UUID) -> str:
    """Return the token for a mail's link, signed with the first of the comma-separated `keys`; 86 URL-safe letters."""
    signed = workspace_id.bytes + lead_id.bytes + draft_id.bytes
    return base64.urlsafe_b64encode(signed + _mac(_signing_keys(keys)[0], signed)).decode().rstrip("=")


def unsubscribe_url(settings: ApiSettings, workspace_id: UUID, lead_id: UUID, draft_id: UUID) -> str:
    """Return the address behind which the recipient of a mail says no; the same whenever it is asked for."""
    token = unsubscribe_token(settings.secret_key.get_secret_value(), workspace_id, lead_id, draft_id)
    return f"{settings.public_url.rstrip('/')}/u/{token}"


def read_unsubscribe_token(keys: str, token: str) -> UnsubscribeToken:
    """Return what a token stands for, signed with any of `keys`; raises InvalidToken."""
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
    """Return keys for this purpose alone, so that nothing signed elsewhere is ever a token."""
    return [hmac.digest(key.strip().encode(), PURPOSE, "sha256") for key in keys.split(",") if key.strip()]


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha256).digest()[:MAC_BYTES]
