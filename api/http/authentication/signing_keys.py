"""The public keys of an OpenID Connect issuer: fetched where it publishes them, and cached."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt

from api.http.authentication.errors import InvalidCredential, KeysUnavailable
from domain.bounded_json import parse_json

log = logging.getLogger(__name__)

CACHE_SECONDS = 3600.0
BETWEEN_FETCHES_SECONDS = 10.0
"""The least time between two fetches, however many tokens name unknown keys."""
FETCH_TIMEOUT_SECONDS = 5.0

_BY_KIND = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC P-256": ("ES256",),
    "EC P-384": ("ES384",),
    "EC P-521": ("ES512",),
    "OKP Ed25519": ("EdDSA",),
}
ALGORITHMS = tuple(name for names in _BY_KIND.values() for name in names)
"""The accepted algorithms: only asymmetric ones, never a shared secret."""

Keys = Mapping[tuple[str | None, str], jwt.PyJWK]
"""Keys by id and algorithm; the id None stands for the only key of an issuer that has one key."""


class SigningKeys:
    """The keys of one issuer; `clock` returns monotonic seconds."""

    def __init__(self, http: httpx.AsyncClient, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._http, self._issuer, self._clock = http, issuer, clock
        self._keys: Keys | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK:
        """Return the key with an id; raises InvalidCredential for an unknown key, KeysUnavailable before any fetch.

        While the issuer does not answer, cached keys stay valid, however old they are.
        """
        name = (key_id, algorithm)
        is_known = self._keys is not None and name in self._keys
        if not is_known or self._clock() - self._fetched_at >= CACHE_SECONDS:
            # A caller with a cached key waits for one refresh; after a failed fetch the refresh runs in the background.
            has_failed = self._tried_at > self._fetched_at
            await self._refresh(wait=not (is_known and has_failed))
        if self._keys is None:
            raise KeysUnavailable("The token's issuer does not answer. Try again in a moment.")
        key = self._keys.get(name)
        if key is None:
            raise InvalidCredential("The token is signed with a key that its issuer does not publish for this use.")
        return key

    async def _refresh(self, *, wait: bool) -> None:
        """Fetch the keys unless a fetch began less than ten seconds ago; concurrent callers share one fetch."""
        if self._fetching is None:
            if self._clock() - self._tried_at < BETWEEN_FETCHES_SECONDS:
                return
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        if wait:
            # The cancellation of one caller must not cancel the fetch of the others.
            await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                address = await self._find_address()
                published = await self._get(address)
            self._keys = _read(published)
            self._fetched_at = self._tried_at
        except Exception as error:  # noqa: BLE001 - after any error the cached keys stay valid
            log.warning("The keys of the OpenID Connect issuer cannot be fetched: %s: %s", type(error).__name__, error)
        finally:
            self._fetching = None

    async def _find_address(self) -> str:
        configuration = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if configuration.get("issuer") != self._issuer:
            raise _Unusable("its openid-configuration names another issuer than OIDC_ISSUER")
        address = configuration.get("jwks_uri")
        allowed = ("https://",) if self._issuer.startswith("https://") else ("https://", "http://")
        if not isinstance(address, str) or not address.startswith(allowed):
            raise _Unusable("its openid-configuration has no jwks_uri with HTTPS")
        return address

    async def _get(self, address: str) -> dict[str, Any]:
        response = (await self._http.get(address, headers={"Accept": "application/json"})).raise_for_status()
        try:
            answer = parse_json(response.content)
        except ValueError as error:
            raise _Unusable(f"{address} does not answer with JSON") from error
        if not isinstance(answer, dict):
            raise _Unusable(f"{address} does not answer with a JSON object")
        return answer


class _Unusable(Exception):
    """The answer of the issuer is not a configuration or not a list of keys."""


def _read(published: Mapping[str, Any]) -> Keys:
    """Return the keys that can verify a token, without keys for encryption, symmetric keys and unknown kinds."""
    listed = published.get("keys")
    if not isinstance(listed, list):
        raise _Unusable("its jwks_uri does not answer with a list of keys")
    usable = [jwk for jwk in listed if isinstance(jwk, dict) and jwk.get("use", "sig") == "sig" and _algorithms(jwk)]
    keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
    for jwk in usable:
        for algorithm in _algorithms(jwk):
            try:
                key = jwt.PyJWK(jwk, algorithm)
            except (jwt.PyJWTError, ValueError, TypeError) as error:
                log.warning("A key of the OpenID Connect issuer cannot be used: %s", type(error).__name__)
                continue
            if isinstance(jwk.get("kid"), str):
                keys[jwk["kid"], algorithm] = key
            if len(usable) == 1:
                keys[None, algorithm] = key
    return keys


def _algorithms(key: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the algorithms of a key: the one that it names, or all of its kind."""
    kind, curve = key.get("kty"), key.get("crv")
    fitting = _BY_KIND.get(f"{kind} {curve}" if curve is not None else f"{kind}", ())
    return tuple(name for name in fitting if key.get("alg") in (None, name))
