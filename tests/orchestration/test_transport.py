"""Tests of retries and throttling, in virtual seconds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpx
import pytest

from orchestration.defs.everlytic.transport import HostThrottles, RetryingTransport
from tests.virtual_time import run_in_virtual_time, seconds_now

URL = "https://tenant.example.test/api/2.0/trans_mails"
Result = httpx.Response | Exception


class Provider:
    """A mock host that gives each result in order and then repeats the last; an exception is a broken connection."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.results = results
        self.request_times: list[float] = []

    def __call__(self, _request: httpx.Request) -> httpx.Response:
        result = self.results[min(len(self.request_times), len(self.results) - 1)]
        self.request_times.append(seconds_now())
        if isinstance(result, Exception):
            raise result
        return httpx.Response(result.status_code, headers=result.headers, content=result.content)


async def request(
    handler: Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Awaitable[httpx.Response]],
    throttles: HostThrottles | None = None,
    method: str = "GET",
    **limits: float,
) -> httpx.Response:
    """Make one request through a RetryingTransport."""
    inner = httpx.MockTransport(handler)  # type: ignore[arg-type] # it takes either kind of function
    transport = RetryingTransport(inner, throttles or HostThrottles(), **limits)  # type: ignore[arg-type] # max_attempts is a float here
    async with httpx.AsyncClient(transport=transport, timeout=None) as http:
        return await http.request(method, URL)


def throttled(seconds: object, **headers: str) -> httpx.Response:
    """Return a 429 with a Retry-After."""
    return httpx.Response(429, headers={"retry-after": str(seconds), **headers})


OK = httpx.Response(200, json={})
RETRYABLE: dict[str, Result] = {
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


@pytest.mark.parametrize("kind", RETRYABLE)
def test_temporary_failures_are_retried_with_growing_delays(kind: str) -> None:
    """Without a Retry-After there are six attempts with delays of 0.25, 0.5, 1, 2 and 4 s.

    Then the last response is returned or the last transport error raised.
    """
    result = RETRYABLE[kind]
    provider = Provider([result])
    if isinstance(result, Exception):
        with pytest.raises(type(result)):
            run_in_virtual_time(request(provider))
    else:
        assert run_in_virtual_time(request(provider)).content == result.content
    assert provider.request_times == [0, 0.25, 0.75, 1.75, 3.75, 7.75]


@pytest.mark.parametrize(
    "response",
    [
        *(httpx.Response(status, content=b"no") for status in (400, 401, 404, 499, 501, 505)),
        httpx.Response(403, content=b"{}"),
        httpx.Response(302, content=b"<html>"),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, content=b"null"),
    ],
)
def test_a_final_response_is_not_retried(response: httpx.Response) -> None:
    """A success with JSON, a redirect, a refusal and a permanent error are returned at once."""
    provider = Provider([response])
    assert run_in_virtual_time(request(provider)).status_code == response.status_code
    assert provider.request_times == [0]


def test_the_first_good_response_ends_the_retries() -> None:
    """After a broken connection, a server error and a truncated body the next response is returned."""
    provider = Provider([httpx.ReadError("reset"), httpx.Response(500), RETRYABLE["cut"], OK])
    assert run_in_virtual_time(request(provider)).json() == {}
    assert provider.request_times == [0, 0.25, 0.75, 1.75]


def test_a_body_beyond_our_limits_is_retried() -> None:
    """JSON of 256 levels is returned; JSON of 257 levels is retried as malformed."""
    provider = Provider([httpx.Response(200, content=b"[" * depth + b"]" * depth) for depth in (257, 256)])
    assert run_in_virtual_time(request(provider)).content == b"[" * 256 + b"]" * 256
    assert provider.request_times == [0, 0.25]


@pytest.mark.parametrize(("max_attempts", "request_times"), [(1, [0]), (2, [0, 0.25]), (3, [0, 0.25, 0.75])])
def test_max_attempts_limits_the_requests(max_attempts: int, request_times: list[float]) -> None:
    """One attempt is no retry, two are one retry, three are two."""
    provider = Provider([httpx.Response(500)])
    run_in_virtual_time(request(provider, max_attempts=max_attempts))
    assert provider.request_times == request_times


def test_max_wait_limits_the_delays() -> None:
    """With a max_wait of 1 s the delays are 0.25, 0.5, 1, 1 and 1 s."""
    provider = Provider([httpx.Response(500)])
    run_in_virtual_time(request(provider, max_wait=1.0))
    assert provider.request_times == [0, 0.25, 0.75, 1.75, 2.75, 3.75]


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("retry_after", "request_times"),
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
def test_a_retry_after_within_max_wait_is_waited_out(status: int, retry_after: str, request_times: list[float]) -> None:
    """A Retry-After of up to 30 s is waited out in full; with one of 31 s the response is returned without a retry."""
    headers = {"retry-after": retry_after, "date": "Mon, 02 Mar 2026 08:00:00 GMT"}
    provider = Provider([httpx.Response(status, headers=headers), OK])
    response = run_in_virtual_time(request(provider, max_wait=30.0))
    assert provider.request_times == request_times
    assert response.status_code == (200 if len(request_times) > 1 else status)


@pytest.mark.parametrize(("total_timeout", "request_times"), [(19.0, [0, 10]), (20.0, [0, 10]), (21.0, [0, 10, 20])])
def test_a_delay_beyond_the_total_timeout_is_not_waited_out(total_timeout: float, request_times: list[float]) -> None:
    """If the delay leaves no time for another attempt, the last response is returned at once."""
    provider = Provider([throttled(10)])
    assert run_in_virtual_time(request(provider, total_timeout=total_timeout)).status_code == 429
    assert provider.request_times == request_times


def test_the_total_timeout_limits_a_request_without_an_answer() -> None:
    """All attempts together take at most 180 s."""

    async def hang(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def measure() -> float:
        with pytest.raises(httpx.ReadTimeout, match="no answer within 180 s"):
            await request(hang)
        return seconds_now()

    assert run_in_virtual_time(measure()) == 180


def test_a_retry_has_only_the_remaining_time() -> None:
    """After a wait of 30 s a request without an answer ends at 180 s, not 180 s later."""
    request_times: list[float] = []

    async def throttle_then_hang(_request: httpx.Request) -> httpx.Response:
        request_times.append(seconds_now())
        if len(request_times) > 1:
            await asyncio.Event().wait()
        return throttled(30)

    async def measure() -> float:
        with pytest.raises(httpx.ReadTimeout, match="no answer within 180 s"):
            await request(throttle_then_hang)
        return seconds_now()

    assert run_in_virtual_time(measure()) == 180
    assert request_times == [0, 30]


def test_a_body_that_breaks_off_is_retried() -> None:
    """A body that ends with an error is retried like any broken connection, and both responses are closed."""
    closed: list[str] = []

    class Body(httpx.AsyncByteStream):
        def __init__(self, name: str, error: Exception | None) -> None:
            self.name, self.error = name, error

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            if self.error:
                raise self.error
            yield b"}"

        async def aclose(self) -> None:
            closed.append(self.name)

    bodies = [Body("broken", httpx.ReadError("")), Body("whole", None)]

    def respond(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=bodies.pop(0))

    assert run_in_virtual_time(request(respond)).json() == {}
    assert (bodies, set(closed)) == ([], {"broken", "whole"})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD"])
@pytest.mark.parametrize("kind", RETRYABLE)
def test_only_gets_are_retried(method: str, kind: str) -> None:
    """A send that was throttled or broke off is never repeated here; the caller decides what to do."""
    result = RETRYABLE[kind]
    provider = Provider([result, OK])
    if isinstance(result, Exception):
        with pytest.raises(type(result)):
            run_in_virtual_time(request(provider, method=method))
    else:
        assert run_in_virtual_time(request(provider, method=method)).status_code == result.status_code
    assert provider.request_times == [0]


class Host:
    """A host that answers 200 after a second, except the requests whose number is in `responses`."""

    def __init__(self, responses: dict[int, tuple[float, httpx.Response]]) -> None:
        self.responses = responses
        self.request_times: list[float] = []

    async def __call__(self, _request: httpx.Request) -> httpx.Response:
        seconds, response = self.responses.get(len(self.request_times), (1.0, OK))
        self.request_times.append(seconds_now())
        await asyncio.sleep(seconds)
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)


async def request_at(host: Host, *times: float) -> None:
    """Start a separate caller at each time."""
    throttles = HostThrottles()

    async def call(time: float) -> None:
        await asyncio.sleep(time)
        assert (await request(host, throttles)).status_code == 200

    async with asyncio.TaskGroup() as group:
        for time in times:
            group.create_task(call(time))


def test_callers_of_a_throttled_host_wait_and_then_go_one_at_a_time() -> None:
    """After a Retry-After of 10 s one caller sends at 10 s; when it is answered at 11 s, all others send."""
    host = Host({0: (0.0, throttled(10))})
    run_in_virtual_time(request_at(host, 0, 1, 2, 3, 4))
    assert host.request_times == [0, 10, 11, 11, 11, 11]


def test_the_first_caller_after_a_pause_may_be_throttled_again() -> None:
    """Throttled for 10 s at 0 s and for 5 s at 10 s, the host gets no request until 15 s."""
    host = Host({0: (0.0, throttled(10)), 1: (0.0, throttled(5))})
    run_in_virtual_time(request_at(host, 0, 1, 2))
    assert host.request_times == [0, 10, 15, 16, 16]


def test_a_server_error_does_not_pause_other_callers() -> None:
    """After a 500 the next caller sends at once."""
    host = Host({0: (0.0, httpx.Response(500))})
    run_in_virtual_time(request_at(host, 0, 0.1))
    assert host.request_times == [0, 0.1, 0.25]


def test_a_503_pauses_other_callers_only_with_a_retry_after() -> None:
    """A 503 counts as throttled only if it has a Retry-After."""
    host = Host({0: (0.0, httpx.Response(503, headers={"retry-after": "10"}))})
    run_in_virtual_time(request_at(host, 0, 0.1))
    assert host.request_times == [0, 10, 11]
    host = Host({0: (0.0, httpx.Response(503))})
    run_in_virtual_time(request_at(host, 0, 0.1))
    assert host.request_times == [0, 0.1, 0.25]


def test_an_earlier_request_does_not_lift_the_pause() -> None:
    """A success at 5 s of a request sent before another was throttled at 1 s does not lift the pause."""
    host = Host({0: (5.0, OK), 1: (0.0, throttled(10))})
    run_in_virtual_time(request_at(host, 0, 1, 6))
    assert host.request_times == [0, 1, 11, 12]


def test_the_longer_of_two_pauses_counts() -> None:
    """If two callers are throttled, for 20 s and then for 2 s, all callers wait for the longer time."""
    host = Host({0: (0.0, throttled(20)), 1: (1.0, throttled(2))})
    run_in_virtual_time(request_at(host, 0, 0, 3))
    assert host.request_times == [0, 0, 20, 21, 21]


def test_an_extended_pause_applies_to_callers_that_already_wait() -> None:
    """A caller that waits for a pause of 5 s also waits for the pause of 20 s that is set meanwhile."""
    host = Host({0: (3.0, throttled(20)), 1: (0.0, throttled(5))})
    run_in_virtual_time(request_at(host, 0, 0, 1))
    assert host.request_times == [0, 0, 23, 24, 24]


def test_a_pause_does_not_affect_other_hosts() -> None:
    """A request to another host is sent at once."""

    async def measure() -> float:
        throttles = HostThrottles()
        throttles.get_throttle(httpx.URL("https://busy.example.test/")).pause(3600)
        await request(Provider([OK]), throttles)
        return seconds_now()

    assert run_in_virtual_time(measure()) == 0


def test_the_total_timeout_includes_the_pause_of_the_host() -> None:
    """A caller that waits for a paused host times out after 180 s."""

    async def measure() -> float:
        throttles = HostThrottles()
        throttles.get_throttle(httpx.URL(URL)).pause(3600)
        with pytest.raises(httpx.ReadTimeout, match="no answer within 180 s"):
            await request(Provider([OK]), throttles)
        return seconds_now()

    assert run_in_virtual_time(measure()) == 180
