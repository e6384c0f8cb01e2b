"""Verifies tokens of an OpenID Connect issuer by the keys that it publishes, and reads their claims."""

import base64
import binascii
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from api.http.authentication.errors import InvalidCredential
from api.http.authentication.signing_keys import ALGORITHMS, SigningKeys
from domain.bounded_json import JsonLimitExceeded, require_json_limits

LEEWAY_SECONDS = 60
LONGEST_SUBJECT = 255
LONGEST_ADDRESS = 254
UNREADABLE = "This is neither an API key nor a readable token."

_TO_LOWER_CASE = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_WITHOUT_CHECKS: Any = {"verify_signature": False}
_CHECKS: Any = {"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True}
_SENTENCES: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "The token has expired; get a new one from its issuer.",
    jwt.ImmatureSignatureError: "The token is not valid yet: its nbf or iat lies in the future.",
    jwt.InvalidAudienceError: "The token is for another audience (aud).",
    jwt.exceptions.InvalidSubjectError: "The token's subject (sub) is not a string.",
    jwt.InvalidSignatureError: "The token's signature does not match the issuer's key.",
    jwt.InvalidKeyError: "The issuer's key is too short to be secure.",
}


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token; the email address is one that the issuer verified, in lower case."""

    issuer: str
    subject: str
    verified_email: str | None


class TokenVerifier:
    """Verifies the tokens of one issuer for one audience."""

    def __init__(self, keys: SigningKeys, issuer: str, audience: str) -> None:
        self._keys, self._issuer, self._audience = keys, issuer, audience

    async def verify(self, token: str) -> Claims:
        """Return the claims of a token; raises InvalidCredential with the failed check, and KeysUnavailable.

        Keys are fetched only for a token that names this issuer.
        """
        algorithm, key_id = self._read_unverified(token)
        key = await self._keys.find(key_id, algorithm)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options=_CHECKS,
            )
        except jwt.PyJWTError as error:
            raise InvalidCredential(_sentence(error)) from error
        return Claims(self._issuer, _subject(claims), _verified_email(claims))

    def _read_unverified(self, token: str) -> tuple[str, str | None]:
        """Return the algorithm and the id of the key that a token names in its header."""
        _require_limits(token)
        try:
            header = jwt.get_unverified_header(token)
            claimed = jwt.decode(token, options=_WITHOUT_CHECKS)
        except jwt.PyJWTError as error:
            raise InvalidCredential(UNREADABLE) from error
        if claimed.get("iss") != self._issuer:
            raise InvalidCredential("The token is from another issuer than OIDC_ISSUER.")
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise InvalidCredential(f"The token must be signed with one of these algorithms: {', '.join(ALGORITHMS)}.")
        return algorithm, header.get("kid")


def token_verifier(
    http: httpx.AsyncClient, issuer: str | None, audience: str | None, clock: Callable[[], float] | None = None
) -> TokenVerifier | None:
    """Return the verifier of an issuer's tokens for an audience, or None if no issuer is configured."""
    if issuer is None or audience is None:
        return None
    keys = SigningKeys(http, issuer, *(() if clock is None else (clock,)))
    return TokenVerifier(keys, issuer, audience)


def _require_limits(token: str) -> None:
    """Refuse a token whose header or claims exceed our JSON limits, before PyJWT parses them."""
    for part in token.split(".")[:2]:
        try:
            text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        except (binascii.Error, ValueError):
            return  # PyJWT refuses it.
        try:
            require_json_limits(text)
        except JsonLimitExceeded as error:
            raise InvalidCredential(f"The token {error}.") from error


def _sentence(error: jwt.PyJWTError) -> str:
    """Return the check that a token failed, without repeating any part of the token."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"The token lacks the required claim {error.claim}."
    return next((sentence for kind, sentence in _SENTENCES.items() if isinstance(error, kind)), UNREADABLE)


def _subject(claims: Mapping[str, Any]) -> str:
    subject: str = claims["sub"]
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise InvalidCredential(f"The token's subject (sub) must have 1 to {LONGEST_SUBJECT} printable characters.")
    return subject


def _verified_email(claims: Mapping[str, Any]) -> str | None:
    """Return the email address only if the issuer has verified it."""
    address = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(address, str):
        return None
    if not 0 < len(address) <= LONGEST_ADDRESS or not address.isprintable():
        return None
    # Only ASCII letters: a Kelvin sign must not become the k of another user's address.
    return address.translate(_TO_LOWER_CASE)
