"""Tokens of an OpenID Connect issuer: verified by the keys it publishes, and what they say of who is calling."""

import base64
import binascii
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from api.http.errors import Unauthorized
from api.http.signing_keys import ALGORITHMS, SigningKeys
from api.settings import OidcSettings
from domain.bounded_json import JsonLimitExceeded, require_json_limits

LEEWAY_SECONDS = 60
LONGEST_SUBJECT = 255
LONGEST_ADDRESS = 254
UNREADABLE = "This is neither an API key nor a token that can be read."

_TO_LOWER_CASE = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_WITHOUT_CHECKS: Any = {"verify_signature": False}
_CHECKS: Any = {"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True}
_SENTENCES: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "The token has expired; get a new one from its issuer.",
    jwt.ImmatureSignatureError: "The token is not valid yet: its nbf or iat lies in the future.",
    jwt.InvalidAudienceError: "The token is for another audience (aud).",
    jwt.exceptions.InvalidSubjectError: "The token's subject (sub) is not a text.",
    jwt.InvalidSignatureError: "The token's signature is not that of the issuer's key.",
    jwt.InvalidKeyError: "The issuer's key is too short to be trusted.",
}


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says: who, according to whom, and the address that the issuer vouches for, lower case."""

    issuer: str
    subject: str
    verified_email: str | None


class TokenVerifier:
    """Verifies the tokens of one issuer for one audience."""

    def __init__(self, keys: SigningKeys, issuer: str, audience: str) -> None:
        self._keys, self._issuer, self._audience = keys, issuer, audience

    async def verify(self, token: str) -> Claims:
        """Return what a token says; raises Unauthorized with the check it failed, and IssuerUnavailable.

        The issuer is asked for its keys only for a token that claims to be its own.
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
            raise Unauthorized(_sentence(error)) from error
        return Claims(self._issuer, _subject(claims), _verified_email(claims))

    def _read_unverified(self, token: str) -> tuple[str, str | None]:
        """Return the algorithm and the name of the key that a token says it is signed with."""
        _require_limits(token)
        try:
            header = jwt.get_unverified_header(token)
            claimed = jwt.decode(token, options=_WITHOUT_CHECKS)
        except jwt.PyJWTError as error:
            raise Unauthorized(UNREADABLE) from error
        if claimed.get("iss") != self._issuer:
            raise Unauthorized("The token is from another issuer than OIDC_ISSUER.")
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise Unauthorized(f"The token is not signed by any of the accepted algorithms: {', '.join(ALGORITHMS)}.")
        return algorithm, header.get("kid")


def token_verifier(
    http: httpx.AsyncClient, settings: OidcSettings, clock: Callable[[], float] | None = None
) -> TokenVerifier | None:
    """Return the verifier of the issuer in the settings, or None where none is set."""
    if settings.issuer is None or settings.audience is None:
        return None
    keys = SigningKeys(http, settings.issuer, *(() if clock is None else (clock,)))
    return TokenVerifier(keys, settings.issuer, settings.audience)


def _require_limits(token: str) -> None:
    """Refuse a token whose header or claims are JSON beyond our limits, before PyJWT parses them."""
    for part in token.split(".")[:2]:
        try:
            text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        except (binascii.Error, ValueError):
            return  # PyJWT refuses it.
        try:
            require_json_limits(text)
        except JsonLimitExceeded as error:
            raise Unauthorized(f"The token {error}.") from error


def _sentence(error: jwt.PyJWTError) -> str:
    """Say which check a token failed, in words that repeat nothing of it."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"The token says nothing of {error.claim}, which is required."
    return next((sentence for kind, sentence in _SENTENCES.items() if isinstance(error, kind)), UNREADABLE)


def _subject(claims: Mapping[str, Any]) -> str:
    subject: str = claims["sub"]
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise Unauthorized(f"The token's subject (sub) is not a text of 1 to {LONGEST_SUBJECT} printable characters.")
    return subject


def _verified_email(claims: Mapping[str, Any]) -> str | None:
    """Return the address only where the issuer says that it has proved whose it is."""
    address = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(address, str):
        return None
    if not 0 < len(address) <= LONGEST_ADDRESS or not address.isprintable():
        return None
    # Of ASCII alone: a Kelvin sign must not become the k of somebody else's address.
    return address.translate(_TO_LOWER_CASE)
