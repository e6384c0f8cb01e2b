"""Encrypts provider keys and webhook passwords, and generates and hashes random tokens."""

import base64
import hashlib
import secrets
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from database.errors import DatabaseError

CACHE_SIZE = 256


class UndecipherableSecret(DatabaseError):
    """A stored secret was encrypted with another key."""


class SecretBox:
    """Encrypts with the first of the comma-separated keys and decrypts with any, so that keys can be rotated."""

    def __init__(self, keys: str) -> None:
        self._fernet = MultiFernet([Fernet(_fernet_key(key.strip())) for key in keys.split(",") if key.strip()])
        # Every email needs the decrypted key of its connection.
        self._decrypt_cached = lru_cache(maxsize=CACHE_SIZE)(self._decrypt)

    def encrypt(self, secret: str) -> str:
        """Return `secret` as an encrypted token."""
        return self._fernet.encrypt(secret.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return the secret in `token`; raises UndecipherableSecret when no key decrypts it."""
        return self._decrypt_cached(token)

    def _decrypt(self, token: str) -> str:
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken as error:
            raise UndecipherableSecret(
                "A stored secret cannot be decrypted with SALESMATTER_SECRET_KEY. Set the key that encrypted it, "
                "or enter the Everlytic connection again."
            ) from error


def generate_token(bytes_: int = 32) -> str:
    """Return a new URL-safe random token."""
    return secrets.token_urlsafe(bytes_)


def hash_credential(token: str) -> str:
    """Return the SHA-256 of a random token, which is stored and searched for instead of the token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _fernet_key(text: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
