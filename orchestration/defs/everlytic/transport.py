"""Patience with the provider: reads that it turned away, broke off or garbled are tried again, within bounds."""

import asyncio
from collections import defaultdict
from http import HTTPStatus

import httpx

from domain.bounded_json import parse_json
from everlytic.protocol import MAX_DEPTH, retry_after_seconds
from orchestration.defs.everlytic.brake import Brake

FAILED = frozenset({500, 502, 503, 504})
FIRST_PAUSE = 0.25
"""Seconds before the second try when the provider names no time; each further pause is twice as long."""


class Hosts:
    """The brakes of all hosts that one run asks: its tenants share what a host allows."""

    def __init__(self) -> None:
        self._brakes: defaultdict[bytes, Brake] = defaultdict(Brake)

    def brake(self, url: httpx.URL) -> Brake:
        """Return the brake of the URL's host."""
        return self._brakes[url.netloc]


class PatientTransport(httpx.AsyncBaseTransport):
    """Repeats GETs that broke off, were answered 429 or 5xx, or with something that is not JSON.

    A Retry-After (seconds or a date) is waited out to the last second if it is at most `longest_wait` seconds; one that
    asks for more is not waited for at all. No request takes longer than `patience` seconds, waits for others included.
    Then, and after `tries`, the provider's last answer or the last break is handed on. Only GETs are repeated.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        hosts: Hosts,
        *,
        tries: int = 6,
        longest_wait: float = 30.0,
        patience: float = 180.0,
    ) -> None:
        self._inner = inner
        self._hosts = hosts
        self._tries = tries
        self._longest_wait = longest_wait
        self._patience = patience

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer the request, after as many tries as it needs and may have."""
        if request.method != "GET":
            return await self._inner.handle_async_request(request)
        brake, loop = self._hosts.brake(request.url), asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        for attempt in range(1, self._tries + 1):
            answer = await self._ask(request, brake, deadline)
            pause = self._pause(answer, attempt)
            if pause is None or attempt == self._tries or loop.time() + pause >= deadline:
                break
            if _is_turned_away(answer):
                brake.close(pause)
            await asyncio.sleep(pause)
        if isinstance(answer, httpx.Response):
            return answer
        raise answer

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _ask(
        self, request: httpx.Request, brake: Brake, deadline: float
    ) -> httpx.Response | httpx.TransportError:
        try:
            async with asyncio.timeout_at(deadline), brake.turn() as asked_at:
                response = await self._inner.handle_async_request(request)
                try:
                    # Here and not by the caller: an answer that breaks off in the middle is tried again, too.
                    await response.aread()
                finally:
                    await response.aclose()
        except httpx.TransportError as error:
            return error
        except TimeoutError:
            return httpx.ReadTimeout(f"no answer after {self._patience:.0f} s of waiting", request=request)
        if not _is_turned_away(response):
            brake.open(asked_at)
        return response

    def _pause(self, answer: httpx.Response | httpx.TransportError, attempt: int) -> float | None:
        """Return the seconds to wait before the next try, None when there is to be none."""
        by_itself: float = min(FIRST_PAUSE * 2 ** (attempt - 1), self._longest_wait)
        if not isinstance(answer, httpx.Response):
            return by_itself
        if not (_is_turned_away(answer) or answer.status_code in FAILED or _is_garbled(answer)):
            return None
        said = retry_after_seconds(answer.headers)
        if said is None:
            return by_itself
        return said if said <= self._longest_wait else None


def _is_turned_away(answer: httpx.Response | httpx.TransportError) -> bool:
    if not isinstance(answer, httpx.Response):
        return False
    is_unavailable = answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in answer.headers
    return is_unavailable or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS


def _is_garbled(answer: httpx.Response) -> bool:
    """Say whether a success is no JSON (cut short, or a page), or a refusal is a page of a server in front."""
    if answer.status_code == HTTPStatus.FORBIDDEN:
        return answer.content.lstrip().startswith(b"<")
    if not answer.is_success:
        return False
    try:
        parse_json(answer.content, max_depth=MAX_DEPTH)
    except ValueError:
        return True
    return False
