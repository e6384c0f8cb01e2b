"""How long the poller is patient with the provider."""

import time
from collections.abc import Sequence

import httpx
import pytest

from orchestration.defs.everlytic.transport import PatientTransport


class Provider:
    """A wire that answers in turn as told; an exception is a broken connection."""

    def __init__(self, answers: Sequence[httpx.Response | Exception]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, _request: httpx.Request) -> httpx.Response:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def ask(provider: Provider, method: str = "GET", **patience: float) -> httpx.Response:
    """Make one request through a patient transport."""
    transport = PatientTransport(httpx.MockTransport(provider), **patience)  # type: ignore[arg-type] # tries is a float here
    async with httpx.AsyncClient(transport=transport) as http:
        return await http.request(method, "https://tenant.example.test/api/2.0/trans_mails")


@pytest.mark.anyio
async def test_a_read_that_was_turned_away_comes_back() -> None:
    """429 with Retry-After, a broken connection and a server error are each waited out, and then answered."""
    provider = Provider(
        [
            httpx.Response(429, headers={"retry-after": "0"}),
            httpx.ReadError("reset"),
            httpx.Response(500),
            httpx.Response(200),
        ]
    )
    assert (await ask(provider, longest_wait=0.01)).status_code == 200
    assert provider.asked == 4


@pytest.mark.anyio
async def test_retry_after_is_honoured_within_bounds() -> None:
    """A provider that says an hour is not waited for longer than allowed, one that says nothing only briefly."""
    started = time.monotonic()
    provider = Provider([httpx.Response(429, headers={"retry-after": "3600"}), httpx.Response(200)])
    assert (await ask(provider, longest_wait=0.2)).status_code == 200
    assert 0.2 <= time.monotonic() - started < 5


@pytest.mark.anyio
async def test_patience_ends() -> None:
    """After the last try the provider's own answer is handed on, or the break itself."""
    assert (await ask(Provider([httpx.Response(429)] * 2), tries=2, longest_wait=0.01)).status_code == 429
    with pytest.raises(httpx.ReadError):
        await ask(Provider([httpx.ReadError("reset")] * 2), tries=2, longest_wait=0.01)


@pytest.mark.anyio
async def test_only_reads_are_repeated() -> None:
    """A send that was turned away is the caller's to judge: it is never made twice here."""
    provider = Provider([httpx.Response(429), httpx.Response(200)])
    assert (await ask(provider, method="POST")).status_code == 429
    assert provider.asked == 1
