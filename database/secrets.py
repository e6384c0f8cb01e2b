"""Keeping provider keys and webhook passwords unreadable at rest, and tokens unguessable."""

import base64
import hashlib
import secrets
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from database.errors import DatabaseError

REMEMBERED = 256


class UndecipherableSecret(DatabaseError):
    """A stored secret was encrypted under another key."""


class SecretBox:
    """Encrypts under the first of the comma-separated keys, decrypts under any, so that keys can be rotated."""

    def __init__(self, keys: str) -> None:
        self._fernet = MultiFernet([Fernet(_fernet_key(key.strip())) for key in keys.split(",") if key.strip()])
        # A connection's key is asked for with every mail.
        self._opened = lru_cache(maxsize=REMEMBERED)(self._open)

    def encrypt(self, secret: str) -> str:
        """Return `secret` as a token that only these keys open."""
        return self._fernet.encrypt(secret.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return the secret in `token`; raises UndecipherableSecret when no key opens it."""
        return self._opened(token)

    def _open(self, token: str) -> str:
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken as error:
            raise UndecipherableSecret(
                "A stored secret cannot be read with SALESMATTER_SECRET_KEY; set the key it was written with, "
                "or enter the Everlytic connection again."
            ) from error


def new_token(bytes_: int = 32) -> str:
    """Return a fresh URL-safe random token."""
    return secrets.token_urlsafe(bytes_)


def credential_hash(token: str) -> str:
    """Return what is stored of a random token, and looked up by: its SHA-256."""
    return hashlib.sha256(token.encode()).hexdigest()


def _fernet_key(text: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
