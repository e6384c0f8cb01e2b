"""How long the poller is patient with the provider, in virtual seconds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpx
import pytest

from orchestration.defs.everlytic.transport import Hosts, PatientTransport
from tests.virtual_time import run_in_virtual_time, seconds_now

URL = "https://tenant.example.test/api/2.0/trans_mails"
Answer = httpx.Response | Exception


class Provider:
    """A wire that gives each answer in turn and the last one again and again; an exception is a broken connection."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = answers
        self.asked_at: list[float] = []

    def __call__(self, _request: httpx.Request) -> httpx.Response:
        answer = self.answers[min(len(self.asked_at), len(self.answers) - 1)]
        self.asked_at.append(seconds_now())
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


async def ask(
    wire: Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Awaitable[httpx.Response]],
    hosts: Hosts | None = None,
    method: str = "GET",
    **patience: float,
) -> httpx.Response:
    """Make one request through a patient transport."""
    inner = httpx.MockTransport(wire)  # type: ignore[arg-type] # it takes either kind of function
    transport = PatientTransport(inner, hosts or Hosts(), **patience)  # type: ignore[arg-type] # tries is a float here
    async with httpx.AsyncClient(transport=transport, timeout=None) as http:
        return await http.request(method, URL)


def turned_away(seconds: object, **headers: str) -> httpx.Response:
    """A 429 that names a time."""
    return httpx.Response(429, headers={"retry-after": str(seconds), **headers})


SERVED = httpx.Response(200, json={})
PASSING: dict[str, Answer] = {
    **{str(status): httpx.Response(status) for status in (429, 500, 502, 503, 504)},
    "firewall": httpx.Response(403, content=b" \n<html>"),
    "empty": httpx.Response(200, content=b""),
    "cut": httpx.Response(200, content=b'{"cut": '),
    "page": httpx.Response(201, content=b"<html>"),
    "twice": httpx.Response(200, content=b"{}{}"),
    "no connection": httpx.ConnectError(""),
    "reset": httpx.ReadError(""),
    "no answer": httpx.ReadTimeout(""),
    "no HTTP": httpx.RemoteProtocolError(""),
}


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_is_asked_again_after_growing_pauses(kind: str) -> None:
    """Without a time from the provider there are six tries with pauses of 0.25, 0.5, 1, 2 and 4 s, and then an end.

    The end is the provider's last answer, or the last break of the connection.
    """
    answer = PASSING[kind]
    provider = Provider([answer])
    if isinstance(answer, Exception):
        with pytest.raises(type(answer)):
            run_in_virtual_time(ask(provider))
    else:
        assert run_in_virtual_time(ask(provider)).content == answer.content
    assert provider.asked_at == [0, 0.25, 0.75, 1.75, 3.75, 7.75]


@pytest.mark.parametrize(
    "answer",
    [
        *(httpx.Response(status, content=b"no") for status in (400, 401, 404, 499, 501, 505)),
        httpx.Response(403, content=b"{}"),
        httpx.Response(302, content=b"<html>"),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, content=b"null"),
    ],
)
def test_what_stays_is_not_asked_again(answer: httpx.Response) -> None:
    """A success that is JSON, a redirect, a refusal and an error that no time mends are handed on at once."""
    provider = Provider([answer])
    assert run_in_virtual_time(ask(provider)).status_code == answer.status_code
    assert provider.asked_at == [0]


def test_the_first_answer_ends_the_tries() -> None:
    """A broken connection, a server error and a cut answer are waited out in turn, then the answer comes."""
    provider = Provider([httpx.ReadError("reset"), httpx.Response(500), PASSING["cut"], SERVED])
    assert run_in_virtual_time(ask(provider)).json() == {}
    assert provider.asked_at == [0, 0.25, 0.75, 1.75]


def test_an_answer_beyond_our_limits_is_no_answer() -> None:
    """JSON of 256 levels is handed on, and one of 257 is asked for again as one that was cut."""
    provider = Provider([httpx.Response(200, content=b"[" * depth + b"]" * depth) for depth in (257, 256)])
    assert run_in_virtual_time(ask(provider)).content == b"[" * 256 + b"]" * 256
    assert provider.asked_at == [0, 0.25]


@pytest.mark.parametrize(("tries", "asked_at"), [(1, [0]), (2, [0, 0.25]), (3, [0, 0.25, 0.75])])
def test_there_are_as_many_tries_as_allowed(tries: int, asked_at: list[float]) -> None:
    """One try is no repetition, two are one, three are two."""
    provider = Provider([httpx.Response(500)])
    run_in_virtual_time(ask(provider, tries=tries))
    assert provider.asked_at == asked_at


def test_no_pause_of_ours_is_longer_than_the_longest_wait() -> None:
    """The pauses stop growing where the longest wait ends: at 1 s they are 0.25, 0.5, 1, 1 and 1 s."""
    provider = Provider([httpx.Response(500)])
    run_in_virtual_time(ask(provider, longest_wait=1.0))
    assert provider.asked_at == [0, 0.25, 0.75, 1.75, 2.75, 3.75]


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("said", "asked_at"),
    [
        ("0", [0, 0]),
        ("1", [0, 1]),
        ("29", [0, 29]),
        ("30", [0, 30]),
        ("31", [0]),
        ("3600", [0]),
        ("soon", [0, 0.25]),
        ("Mon, 02 Mar 2026 08:00:30 GMT", [0, 30]),
        ("Mon, 02 Mar 2026 08:00:31 GMT", [0]),
        ("Mon, 02 Mar 2026 07:59:59 GMT", [0, 0]),
    ],
)
def test_a_named_wait_is_waited_out_if_it_is_not_too_long(status: int, said: str, asked_at: list[float]) -> None:
    """A Retry-After of up to 30 s is waited out to its last second; one of 31 s is handed on, and nothing is asked."""
    headers = {"retry-after": said, "date": "Mon, 02 Mar 2026 08:00:00 GMT"}
    provider = Provider([httpx.Response(status, headers=headers), SERVED])
    answer = run_in_virtual_time(ask(provider, longest_wait=30.0))
    assert provider.asked_at == asked_at
    assert answer.status_code == (200 if len(asked_at) > 1 else status)


@pytest.mark.parametrize(("patience", "asked_at"), [(19.0, [0, 10]), (20.0, [0, 10]), (21.0, [0, 10, 20])])
def test_no_pause_is_begun_that_outlasts_the_patience(patience: float, asked_at: list[float]) -> None:
    """A pause that leaves no time to ask is not waited out: the provider's last answer is handed on before it."""
    provider = Provider([turned_away(10)])
    assert run_in_virtual_time(ask(provider, patience=patience)).status_code == 429
    assert provider.asked_at == asked_at


def test_an_answer_that_never_comes_is_waited_for_until_the_patience_ends() -> None:
    """All tries together take 180 s at most, whatever each of them waits for."""

    async def hang(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def measure() -> float:
        with pytest.raises(httpx.ReadTimeout, match="no answer after 180 s of waiting"):
            await ask(hang)
        return seconds_now()

    assert run_in_virtual_time(measure()) == 180


def test_a_later_try_has_only_what_the_earlier_ones_left() -> None:
    """After a wait of 30 s an answer that never comes is waited for until 180 s, and not for 180 s more."""
    asked_at: list[float] = []

    async def hang_then(_request: httpx.Request) -> httpx.Response:
        asked_at.append(seconds_now())
        if len(asked_at) > 1:
            await asyncio.Event().wait()
        return turned_away(30)

    async def measure() -> float:
        with pytest.raises(httpx.ReadTimeout, match="no answer after 180 s of waiting"):
            await ask(hang_then)
        return seconds_now()

    assert run_in_virtual_time(measure()) == 180
    assert asked_at == [0, 30]


def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    """A body that ends in the middle is a break like any other, and both answers are closed."""
    closed: list[str] = []

    class Body(httpx.AsyncByteStream):
        def __init__(self, name: str, end: Exception | None) -> None:
            self.name, self.end = name, end

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            if self.end:
                raise self.end
            yield b"}"

        async def aclose(self) -> None:
            closed.append(self.name)

    bodies = [Body("broken", httpx.ReadError("")), Body("whole", None)]

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=bodies.pop(0))

    assert run_in_virtual_time(ask(answer)).json() == {}
    assert (bodies, set(closed)) == ([], {"broken", "whole"})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD"])
@pytest.mark.parametrize("kind", PASSING)
def test_only_reads_are_repeated(method: str, kind: str) -> None:
    """A send that was turned away or broke off is the caller's to judge: it is never made twice here."""
    answer = PASSING[kind]
    provider = Provider([answer, SERVED])
    if isinstance(answer, Exception):
        with pytest.raises(type(answer)):
            run_in_virtual_time(ask(provider, method=method))
    else:
        assert run_in_virtual_time(ask(provider, method=method)).status_code == answer.status_code
    assert provider.asked_at == [0]


class Host:
    """A host that serves after a second, except whom `answers` names by the order in which they ask."""

    def __init__(self, answers: dict[int, tuple[float, httpx.Response]]) -> None:
        self.answers = answers
        self.asked_at: list[float] = []
        self.served_at: list[float] = []

    async def __call__(self, _request: httpx.Request) -> httpx.Response:
        seconds, answer = self.answers.get(len(self.asked_at), (1.0, SERVED))
        self.asked_at.append(seconds_now())
        await asyncio.sleep(seconds)
        if answer.is_success:
            self.served_at.append(seconds_now())
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


async def ask_at(host: Host, *moments: float) -> None:
    """Have a caller of its own ask the host at each moment."""
    hosts = Hosts()

    async def caller(moment: float) -> None:
        await asyncio.sleep(moment)
        assert (await ask(host, hosts)).status_code == 200

    async with asyncio.TaskGroup() as group:
        for moment in moments:
            group.create_task(caller(moment))


def test_all_who_ask_a_host_wait_together_and_then_one_at_a_time() -> None:
    """After a Retry-After of 10 s one caller asks at 10 s, alone; when it is served after a second, all others ask."""
    host = Host({0: (0.0, turned_away(10))})
    run_in_virtual_time(ask_at(host, 0, 1, 2, 3, 4))
    assert host.asked_at == [0, 10, 11, 11, 11, 11]


def test_the_one_who_tries_first_may_be_turned_away_again() -> None:
    """Turned away for 10 s at 0 and for 5 s at 10, the host is left alone until 15 s by all."""
    host = Host({0: (0.0, turned_away(10)), 1: (0.0, turned_away(5))})
    run_in_virtual_time(ask_at(host, 0, 1, 2))
    assert host.asked_at == [0, 10, 15, 16, 16]


def test_a_server_error_holds_nobody_else_back() -> None:
    """Only who is told to come later makes others wait: after a 500 the next caller asks at once."""
    host = Host({0: (0.0, httpx.Response(500))})
    run_in_virtual_time(ask_at(host, 0, 0.1))
    assert host.asked_at == [0, 0.1, 0.25]


def test_a_503_with_a_time_holds_others_back_and_one_without_does_not() -> None:
    """A 503 counts as turned away only when it says until when."""
    host = Host({0: (0.0, httpx.Response(503, headers={"retry-after": "10"}))})
    run_in_virtual_time(ask_at(host, 0, 0.1))
    assert host.asked_at == [0, 10, 11]
    host = Host({0: (0.0, httpx.Response(503))})
    run_in_virtual_time(ask_at(host, 0, 0.1))
    assert host.asked_at == [0, 0.1, 0.25]


def test_who_was_let_through_earlier_does_not_end_the_wait() -> None:
    """A success at 5 s of a caller who asked before another was turned away, at 1 s, opens the host to nobody."""
    host = Host({0: (5.0, SERVED), 1: (0.0, turned_away(10))})
    run_in_virtual_time(ask_at(host, 0, 1, 6))
    assert host.asked_at == [0, 1, 11, 12]


def test_the_longest_of_two_waits_counts() -> None:
    """Of two callers that are turned away, for 20 s and then for 2 s, the longer wait holds for everybody."""
    host = Host({0: (0.0, turned_away(20)), 1: (1.0, turned_away(2))})
    run_in_virtual_time(ask_at(host, 0, 0, 3))
    assert host.asked_at == [0, 0, 20, 21, 21]


def test_a_wait_that_is_prolonged_holds_those_who_wait_already() -> None:
    """A caller waits for the first 5 s when another is turned away for 20 s more: it waits for those, too."""
    host = Host({0: (3.0, turned_away(20)), 1: (0.0, turned_away(5))})
    run_in_virtual_time(ask_at(host, 0, 0, 1))
    assert host.asked_at == [0, 0, 23, 24, 24]


def test_another_host_need_not_wait() -> None:
    """A host that turned a caller away holds back no caller of another one."""

    async def measure() -> float:
        hosts = Hosts()
        hosts.brake(httpx.URL("https://busy.example.test/")).close(3600)
        await ask(Provider([SERVED]), hosts)
        return seconds_now()

    assert run_in_virtual_time(measure()) == 0


def test_waiting_for_others_counts_as_waiting() -> None:
    """A caller whom others' wait would keep longer than its patience is told so when the patience ends."""

    async def measure() -> float:
        hosts = Hosts()
        hosts.brake(httpx.URL(URL)).close(3600)
        with pytest.raises(httpx.ReadTimeout, match="no answer after 180 s of waiting"):
            await ask(Provider([SERVED]), hosts)
        return seconds_now()

    assert run_in_virtual_time(measure()) == 180
