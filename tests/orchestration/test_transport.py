"""How long the poller is patient with the provider."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

import httpx
import pytest

from orchestration.defs.everlytic.transport import Hosts, PatientTransport


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
    transport = PatientTransport(httpx.MockTransport(provider), Hosts(), **patience)  # type: ignore[arg-type] # tries is a float here
    async with httpx.AsyncClient(transport=transport) as http:
        return await http.request(method, "https://tenant.example.test/api/2.0/trans_mails")


@pytest.mark.anyio
async def test_a_read_that_was_turned_away_comes_back() -> None:
    """429 with Retry-After, a broken connection, a server error and a cut answer are waited out, and then answered."""
    provider = Provider(
        [
            httpx.Response(429, headers={"retry-after": "0"}),
            httpx.ReadError("reset"),
            httpx.Response(500),
            httpx.Response(200, content=b'{"cut": '),
            httpx.Response(200, json={}),
        ]
    )
    assert (await ask(provider, longest_wait=0.01)).status_code == 200
    assert provider.asked == 5


@pytest.mark.anyio
async def test_an_answer_beyond_our_limits_is_no_answer() -> None:
    """JSON of 256 levels is handed on, and one of 257 is asked for again as one that was cut."""
    provider = Provider([httpx.Response(200, content=b"[" * depth + b"]" * depth) for depth in (257, 256)])
    assert (await ask(provider, longest_wait=0.01)).content == b"[" * 256 + b"]" * 256
    assert provider.asked == 2


@pytest.mark.anyio
@pytest.mark.parametrize("said", ["3600", "Mon, 02 Mar 2026 09:00:00 GMT"])
async def test_a_wait_that_is_too_long_is_not_begun(said: str) -> None:
    """Asked for an hour, in seconds or as a date, nothing is asked again: the answer is handed on as it is."""
    headers = {"retry-after": said, "date": "Mon, 02 Mar 2026 08:00:00 GMT"}
    provider = Provider([httpx.Response(429, headers=headers)])
    assert (await ask(provider, longest_wait=30.0)).headers["retry-after"] == said
    assert provider.asked == 1


@pytest.mark.anyio
async def test_a_named_wait_is_waited_out() -> None:
    """A Retry-After within bounds is waited out to its end, although it is longer than what we would wait ourselves."""
    provider = Provider([httpx.Response(429, headers={"retry-after": "1"}), httpx.Response(200, json={})])
    started = time.monotonic()
    assert (await ask(provider)).status_code == 200
    assert time.monotonic() - started >= 1


@pytest.mark.anyio
async def test_all_who_ask_a_host_wait_together() -> None:
    """When a host turns one of ten away, the nine that follow hold back until the wait is over."""
    moments: list[float] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        moments.append(time.monotonic())
        return httpx.Response(200, json={}) if moments[1:] else httpx.Response(429, headers={"retry-after": "1"})

    hosts = Hosts()
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(transport=PatientTransport(httpx.MockTransport(answer), hosts))
            )
            for _ in range(10)
        ]
        answers = await asyncio.gather(*(one.get("https://tenant.example.test/api/2.0/emails") for one in clients))
    assert {one.status_code for one in answers} == {200}
    assert len(moments) == 11
    assert min(moments[1:]) - moments[0] >= 1


@pytest.mark.anyio
async def test_another_host_need_not_wait() -> None:
    """A host that turned somebody away holds back nobody who asks another one."""
    hosts = Hosts()
    hosts.brake(httpx.URL("https://busy.example.test/")).close(3600)
    transport = PatientTransport(httpx.MockTransport(Provider([httpx.Response(200, json={})])), hosts, patience=5)
    async with httpx.AsyncClient(transport=transport) as http:
        assert (await http.get("https://idle.example.test/api/2.0/emails")).status_code == 200


@pytest.mark.anyio
async def test_nobody_waits_for_others_without_end() -> None:
    """Who would have to wait longer than their patience for a wait that others brought about is told so."""
    hosts = Hosts()
    hosts.brake(httpx.URL("https://tenant.example.test/")).close(3600)
    transport = PatientTransport(httpx.MockTransport(Provider([])), hosts, patience=0.05)
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(httpx.ReadTimeout, match="no answer after 0 s of waiting"):
            await http.get("https://tenant.example.test/api/2.0/emails")


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
