import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from api.http.authentication.errors import InvalidCredential, KeysUnavailable
from api.http.authentication.signing_keys import BETWEEN_FETCHES_SECONDS, CACHE_SECONDS
from api.http.authentication.tokens import TokenVerifier, token_verifier
from api.settings import OidcSettings
from tests.issuer import AUDIENCE, KINDS, Issuer, issuer, issuer_process

__all__ = ["issuer", "issuer_process"]

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds that grow when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """The time by which keys grow old."""
    return Clock()


@pytest.fixture
async def verifier(issuer: Issuer, clock: Clock) -> AsyncIterator[TokenVerifier]:
    """A verifier of the issuer's tokens, which has fetched nothing yet."""
    async with httpx.AsyncClient() as http:
        made = token_verifier(http, issuer.url, AUDIENCE, clock)
        assert made is not None
        yield made


async def refusal(verifier: TokenVerifier, token: str) -> str:
    """Return the sentence a token is refused with, which must not repeat the token."""
    with pytest.raises(InvalidCredential) as refused:
        await verifier.verify(token)
    sentence = str(refused.value)
    assert not any(len(one) > 8 and one in sentence for one in token.split("."))
    return sentence


def part(value: object) -> str:
    """Return a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return a token's header, claims and signature."""
    header, claims, signature = token.split(".")
    read = [json.loads(base64.urlsafe_b64decode(one + "=" * (-len(one) % 4))) for one in (header, claims)]
    return read[0], read[1], signature


@pytest.mark.parametrize("algorithm", KINDS)
async def test_a_token_says_who_is_calling(verifier: TokenVerifier, issuer: Issuer, algorithm: str) -> None:
    """A token that the issuer signed with any kind of key is accepted for the subject that it names."""
    token = issuer.sign(algorithm, email="Ann@Acme.Example", email_verified=True)

    claims = await verifier.verify(token)

    assert (claims.issuer, claims.subject, claims.verified_email) == (issuer.url, "ann", "ann@acme.example")


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ({"email": "ann@acme.example"}, None),
        ({"email": "ann@acme.example", "email_verified": False}, None),
        ({"email": "ann@acme.example", "email_verified": "true"}, None),
        ({"email": ["ann@acme.example"], "email_verified": True}, None),
        ({"email": "ann\x00@acme.example", "email_verified": True}, None),
        ({"email": "\N{KELVIN SIGN}im@acme.example", "email_verified": True}, "\N{KELVIN SIGN}im@acme.example"),
    ],
)
async def test_an_address_counts_only_when_it_is_verified(
    verifier: TokenVerifier, issuer: Issuer, said: dict[str, Any], address: str | None
) -> None:
    """What the issuer does not vouch for is no address, and no letter is taken for another one's."""
    assert (await verifier.verify(issuer.sign(**said))).verified_email == address


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"aud": "another"}, "another audience"),
        ({"aud": None}, "required claim aud"),
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"exp": time.time() - 61}, "has expired"),
        ({"exp": None}, "required claim exp"),
        ({"exp": "soon"}, "neither an API key nor a readable token"),
        ({"nbf": time.time() + 86_400}, "not valid yet"),
        ({"iat": time.time() + 86_400}, "not valid yet"),
        ({"sub": None}, "required claim sub"),
        ({"sub": ""}, "subject"),
        ({"sub": 5}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"sub": "a\x00b"}, "subject"),
        ({"sub": "\ud800"}, "subject"),
    ],
)
async def test_a_claim_that_fails_is_named(
    verifier: TokenVerifier, issuer: Issuer, claims: dict[str, Any], sentence: str
) -> None:
    """A token that the issuer did sign is refused for what it says, in a sentence that names the check."""
    assert sentence in await refusal(verifier, issuer.sign(**claims))


async def test_clocks_may_differ_a_little(verifier: TokenVerifier, issuer: Issuer) -> None:
    """A token that expired or begins within half a minute is accepted."""
    now = time.time()

    assert (await verifier.verify(issuer.sign(exp=now - 30))).subject == "ann"
    assert (await verifier.verify(issuer.sign(nbf=now + 30, iat=now + 30))).subject == "ann"


async def test_what_is_no_token_is_refused(verifier: TokenVerifier, issuer: Issuer) -> None:
    """Anything that is not three readable parts is refused without a request to the issuer."""
    deep = base64.urlsafe_b64encode(b"[" * 20_000).decode().rstrip("=")
    for token in ("", "x", "a.b.c", "..", f"{deep}.{deep}.x", f"{part([])}.{part([])}.x", f"{part({})}.{part({})}.x"):
        assert await refusal(verifier, token)
    assert issuer.fetches() == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 65 + "]" * 65, "The token nests deeper than 64 levels."),
        ("[" * 20_000, "The token nests deeper than 64 levels."),
        ('{"exp": ' + "9" * 601 + "}", "The token contains a number longer than 600 characters."),
    ],
)
async def test_a_token_beyond_our_limits_is_refused(
    verifier: TokenVerifier, issuer: Issuer, text: str, sentence: str
) -> None:
    """Neither the header nor the claims of a token may nest deeper or hold longer numbers than other JSON."""
    beyond = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    for token in (f"{beyond}.{part({})}.x", f"{part({'alg': 'RS256'})}.{beyond}.x"):
        assert await refusal(verifier, token) == sentence
    at_limit = issuer.sign(x=json.loads("[" * 63 + "]" * 63), y=10**599)
    assert (await verifier.verify(at_limit)).subject == "ann"


async def test_no_other_way_of_signing_is_accepted(verifier: TokenVerifier, issuer: Issuer) -> None:
    """Neither `none` nor a shared secret opens the door, not even the public key taken for a secret."""
    token = issuer.sign()
    header, claims, _ = parts_of(token)
    (published,) = [one for one in issuer.published() if one.get("kid") == header["kid"]]
    public: Any = jwt.PyJWK(published, "RS256").key
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    by_secret = f"{part({**header, 'alg': 'HS256'})}.{part(claims)}"
    seal = base64.urlsafe_b64encode(hmac.digest(pem, by_secret.encode(), hashlib.sha256)).decode().rstrip("=")
    before = issuer.fetches()

    for algorithm in ("none", "None", ""):
        forged = f"{part({**header, 'alg': algorithm})}.{part(claims)}."
        assert "one of these algorithms" in await refusal(verifier, forged)
    assert "one of these algorithms" in await refusal(verifier, f"{by_secret}.{seal}")
    assert issuer.fetches() == before


async def test_a_token_that_was_tampered_with_is_refused(verifier: TokenVerifier, issuer: Issuer) -> None:
    """Other claims under the same signature, another key's name, and an algorithm the key is not for, all fail."""
    header, claims, signature = parts_of(issuer.sign())
    tampered = {
        "signature": f"{part(header)}.{part({**claims, 'sub': 'eve'})}.{signature}",
        "does not publish": f"{part({**header, 'kid': 'other'})}.{part(claims)}.{signature}",
        "for this use": f"{part({**header, 'alg': 'ES256'})}.{part(claims)}.{signature}",
        "neither an API key": f"{part({**header, 'crit': ['exp']})}.{part(claims)}.{signature}",
    }

    for sentence, token in tampered.items():
        assert sentence in await refusal(verifier, token)


async def test_a_new_key_is_found(verifier: TokenVerifier, issuer: Issuer, clock: Clock) -> None:
    """After the issuer has rotated its key, the same verifier takes tokens of the new key, and no longer the old."""
    old = issuer.sign()
    assert (await verifier.verify(old)).subject == "ann"
    issuer.rotate()
    new = issuer.sign()

    clock.seconds += BETWEEN_FETCHES_SECONDS
    assert (await verifier.verify(new)).subject == "ann"
    assert "does not publish" in await refusal(verifier, old)


async def test_keys_are_fetched_once_an_hour(verifier: TokenVerifier, issuer: Issuer, clock: Clock) -> None:
    """Any number of tokens makes one fetch, also at once, until the keys are an hour old."""
    tokens = [issuer.sign(sub=f"user {number}") for number in range(20)]

    await asyncio.gather(*(verifier.verify(token) for token in tokens))
    clock.seconds += CACHE_SECONDS - 1
    await asyncio.gather(*(verifier.verify(token) for token in tokens))
    assert issuer.fetches() == 1
    clock.seconds += 1
    await asyncio.gather(*(verifier.verify(token) for token in tokens))
    assert issuer.fetches() == 2


async def test_a_storm_of_unknown_keys_makes_one_fetch(verifier: TokenVerifier, issuer: Issuer, clock: Clock) -> None:
    """However many tokens name unknown keys, the issuer's keys are fetched once in ten seconds."""
    good = issuer.sign()
    await verifier.verify(good)
    header, claims, signature = parts_of(good)
    forged = [f"{part({**header, 'kid': f'k{number}'})}.{part(claims)}.{signature}" for number in range(200)]

    clock.seconds += BETWEEN_FETCHES_SECONDS
    await asyncio.gather(*(refusal(verifier, token) for token in forged))
    for token in forged[:20]:
        await refusal(verifier, token)

    assert issuer.fetches() == 2
    assert (await verifier.verify(good)).subject == "ann"


async def test_a_token_of_another_issuer_makes_no_request(verifier: TokenVerifier, issuer: Issuer) -> None:
    """A token that names another issuer makes no request at all."""
    await refusal(verifier, issuer.sign(iss=f"{issuer.url}/"))

    assert issuer.fetches() == 0


async def test_known_keys_outlive_the_issuer(verifier: TokenVerifier, issuer: Issuer, clock: Clock) -> None:
    """While the issuer is away its keys go on working, also when they are due to be looked up; then it is back."""
    token, late = issuer.sign(), issuer.sign("ES256", exp=int(time.time()) + 6000)
    await verifier.verify(token)
    issuer.stop()

    for _ in range(3):
        assert (await verifier.verify(token)).subject == "ann"
        clock.seconds += CACHE_SECONDS
    assert "does not publish" in await refusal(verifier, _renamed(token))
    issuer.start()
    clock.seconds += CACHE_SECONDS
    assert (await verifier.verify(late)).subject == "ann"


def _renamed(token: str) -> str:
    header, claims, signature = parts_of(token)
    return f"{part({**header, 'kid': 'other'})}.{part(claims)}.{signature}"


async def test_without_the_issuer_keys_are_unavailable(verifier: TokenVerifier, issuer: Issuer, clock: Clock) -> None:
    """Before any key is known, an issuer that is away is a 503; later its keys are fetched again."""
    token = issuer.sign()
    issuer.stop()

    for _ in range(3):
        with pytest.raises(KeysUnavailable, match="Try again"):
            await verifier.verify(token)
    issuer.start()
    clock.seconds += BETWEEN_FETCHES_SECONDS
    assert (await verifier.verify(token)).subject == "ann"


@pytest.mark.parametrize(
    "answers",
    [
        {"issuer": "https://elsewhere.example"},
        {"jwks_uri": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://127.0.0.1:1/keys"},
        {"keys": "none"},
        {"x": json.loads("[" * 64 + "]" * 64)},
    ],
)
async def test_a_strange_configuration_is_not_followed(
    verifier: TokenVerifier, issuer: Issuer, answers: dict[str, Any]
) -> None:
    """A document of another issuer, an address that is none, and keys that are none count as an issuer that is away."""
    token = issuer.sign()
    issuer.configure(**answers)

    with pytest.raises(KeysUnavailable):
        await verifier.verify(token)


async def test_a_key_without_a_name_works_alone(verifier: TokenVerifier, issuer: Issuer, clock: Clock) -> None:
    """Where the issuer publishes one key, its tokens need not name it; where it publishes several, they must."""
    token = issuer.sign(names_key=False)
    assert "does not publish" in await refusal(verifier, token)
    nameless = {name: value for name, value in issuer.published()[0].items() if name != "kid"}
    issuer.configure(keys=[nameless])
    clock.seconds += BETWEEN_FETCHES_SECONDS

    assert (await verifier.verify(token)).subject == "ann"


@pytest.mark.parametrize(
    ("issuer_", "audience"),
    [("https://login.example.com/", None), (None, "salesmatter"), ("login.example.com", "salesmatter")],
)
def test_half_a_configuration_is_none(issuer_: str | None, audience: str | None) -> None:
    """An issuer without an audience would accept tokens meant for others, so it is refused at the start."""
    with pytest.raises(ValueError, match=r"set both OIDC_ISSUER and OIDC_AUDIENCE|must be a URL"):
        OidcSettings(issuer=issuer_, audience=audience)
