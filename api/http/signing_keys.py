"""The public keys of an OpenID Connect issuer: looked up where it publishes them, and kept for a while."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt

from api.http.errors import IssuerUnavailable, Unauthorized
from domain.bounded_json import parse_json

log = logging.getLogger(__name__)

KEPT_SECONDS = 3600.0
BETWEEN_FETCHES_SECONDS = 10.0
"""However many tokens name keys that nobody knows, the issuer is asked no more often."""
FETCH_TIMEOUT_SECONDS = 5.0

_BY_KIND = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC P-256": ("ES256",),
    "EC P-384": ("ES384",),
    "EC P-521": ("ES512",),
    "OKP Ed25519": ("EdDSA",),
}
ALGORITHMS = tuple(name for names in _BY_KIND.values() for name in names)
"""What a token may be signed by: a private key alone, never a secret that is shared."""

Keys = Mapping[tuple[str | None, str], jwt.PyJWK]
"""Keys by their name and the algorithm they are used with; None names the key where the issuer has one alone."""


class SigningKeys:
    """The keys of one issuer; `clock` gives seconds that only ever grow."""

    def __init__(self, http: httpx.AsyncClient, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._http, self._issuer, self._clock = http, issuer, clock
        self._keys: Keys | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK:
        """Return the key of a name; raises Unauthorized for one nobody knows, IssuerUnavailable while none is known.

        Keys that are known go on working, however old, while the issuer is away.
        """
        wanted = (key_id, algorithm)
        is_known = self._keys is not None and wanted in self._keys
        if not is_known or self._clock() - self._fetched_at >= KEPT_SECONDS:
            # Who has a key waits for a newer one once; while the issuer is away it is looked for in the background.
            is_away = self._tried_at > self._fetched_at
            await self._refresh(wait=not (is_known and is_away))
        if self._keys is None:
            raise IssuerUnavailable("The token's issuer does not answer. Try again in a moment.")
        key = self._keys.get(wanted)
        if key is None:
            raise Unauthorized("The token is signed with a key that its issuer does not publish for this use.")
        return key

    async def _refresh(self, *, wait: bool) -> None:
        """Fetch the keys unless that was tried a moment ago; all who ask meanwhile share one fetch."""
        if self._fetching is None:
            if self._clock() - self._tried_at < BETWEEN_FETCHES_SECONDS:
                return
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch())
        if wait:
            # A caller who leaves does not take the fetch away from the others.
            await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                address = await self._address_of_keys()
                published = await self._get(address)
            self._keys = _read(published)
            self._fetched_at = self._tried_at
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the keys that are known go on working
            log.warning("The keys of the OpenID Connect issuer cannot be fetched: %s: %s", type(error).__name__, error)
        finally:
            self._fetching = None

    async def _address_of_keys(self) -> str:
        found = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self._issuer:
            raise _Unusable("its openid-configuration names another issuer than OIDC_ISSUER")
        address = found.get("jwks_uri")
        allowed = ("https://",) if self._issuer.startswith("https://") else ("https://", "http://")
        if not isinstance(address, str) or not address.startswith(allowed):
            raise _Unusable("its openid-configuration has no jwks_uri with HTTPS")
        return address

    async def _get(self, address: str) -> dict[str, Any]:
        response = (await self._http.get(address, headers={"Accept": "application/json"})).raise_for_status()
        try:
            found = parse_json(response.content)
        except ValueError as error:
            raise _Unusable(f"{address} does not answer with JSON") from error
        if not isinstance(found, dict):
            raise _Unusable(f"{address} does not answer with a JSON object")
        return found


class _Unusable(Exception):
    """The issuer answered what is no configuration, or no keys."""


def _read(published: Mapping[str, Any]) -> Keys:
    """Return the keys that can verify a token; what is for encryption, symmetric or of an unknown kind is left out."""
    listed = published.get("keys")
    if not isinstance(listed, list):
        raise _Unusable("its jwks_uri does not answer with a list of keys")
    usable = [one for one in listed if isinstance(one, dict) and one.get("use", "sig") == "sig" and _algorithms(one)]
    keys: dict[tuple[str | None, str], jwt.PyJWK] = {}
    for one in usable:
        for algorithm in _algorithms(one):
            try:
                key = jwt.PyJWK(one, algorithm)
            except (jwt.PyJWTError, ValueError, TypeError) as error:
                log.warning("A key of the OpenID Connect issuer cannot be used: %s", type(error).__name__)
                continue
            if isinstance(one.get("kid"), str):
                keys[one["kid"], algorithm] = key
            if len(usable) == 1:
                keys[None, algorithm] = key
    return keys


def _algorithms(key: Mapping[str, Any]) -> tuple[str, ...]:
    """Return by which algorithms a key verifies: the one it is for, or all that its kind can."""
    kind, curve = key.get("kty"), key.get("crv")
    fitting = _BY_KIND.get(f"{kind} {curve}" if curve is not None else f"{kind}", ())
    return tuple(name for name in fitting if key.get("alg") in (None, name))
