"""HTTP transport that retries reads which Everlytic throttled, interrupted or answered with malformed content."""

import asyncio
from collections import defaultdict
from http import HTTPStatus

import httpx

from domain.bounded_json import parse_json
from everlytic.protocol import MAX_DEPTH, parse_retry_after
from orchestration.defs.everlytic.host_throttle import HostThrottle

RETRYABLE_STATUSES = frozenset({500, 502, 503, 504})
FIRST_DELAY_SECONDS = 0.25
"""Delay before the first retry when the provider sends no Retry-After; each further delay is twice as long."""


class HostThrottles:
    """The throttles of all hosts that one run polls; tenants of the same host share one."""

    def __init__(self) -> None:
        self._throttles: defaultdict[bytes, HostThrottle] = defaultdict(HostThrottle)

    def get_throttle(self, url: httpx.URL) -> HostThrottle:
        """Return the throttle of the URL's host."""
        return self._throttles[url.netloc]


class RetryingTransport(httpx.AsyncBaseTransport):
    """Retries GETs that failed in transit, or were answered with 429, 5xx or something that is not JSON.

    A Retry-After (seconds or a date) of at most `max_wait` seconds is waited out in full; for a longer one there is no
    retry. A request takes at most `total_timeout` seconds, including the wait for the host's throttle. After that, or
    after `max_attempts`, the last response is returned or the last transport error raised. Other methods are not
    retried.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        throttles: HostThrottles,
        *,
        max_attempts: int = 6,
        max_wait: float = 30.0,
        total_timeout: float = 180.0,
    ) -> None:
        self._inner = inner
        self._throttles = throttles
        self._max_attempts = max_attempts
        self._max_wait = max_wait
        self._total_timeout = total_timeout

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, with retries if it is a GET."""
        if request.method != "GET":
            return await self._inner.handle_async_request(request)
        throttle, loop = self._throttles.get_throttle(request.url), asyncio.get_running_loop()
        deadline = loop.time() + self._total_timeout
        for attempt in range(1, self._max_attempts + 1):
            result = await self._send(request, throttle, deadline)
            delay = self._retry_delay(result, attempt)
            if delay is None or attempt == self._max_attempts or loop.time() + delay >= deadline:
                break
            if _is_throttled(result):
                throttle.pause(delay)
            await asyncio.sleep(delay)
        if isinstance(result, httpx.Response):
            return result
        raise result

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _send(
        self, request: httpx.Request, throttle: HostThrottle, deadline: float
    ) -> httpx.Response | httpx.TransportError:
        try:
            async with asyncio.timeout_at(deadline), throttle.acquire() as requested_at:
                response = await self._inner.handle_async_request(request)
                try:
                    # Read the body here and not in the caller, so that a body that breaks off is retried too.
                    await response.aread()
                finally:
                    await response.aclose()
        except httpx.TransportError as error:
            return error
        except TimeoutError:
            return httpx.ReadTimeout(f"no answer within {self._total_timeout:.0f} s", request=request)
        if not _is_throttled(response):
            throttle.resume(requested_at)
        return response

    def _retry_delay(self, result: httpx.Response | httpx.TransportError, attempt: int) -> float | None:
        """Return the seconds to wait before the next attempt, or None if there must be none."""
        backoff: float = min(FIRST_DELAY_SECONDS * 2 ** (attempt - 1), self._max_wait)
        if not isinstance(result, httpx.Response):
            return backoff
        if not (_is_throttled(result) or result.status_code in RETRYABLE_STATUSES or _is_malformed(result)):
            return None
        retry_after = parse_retry_after(result.headers)
        if retry_after is None:
            return backoff
        return retry_after if retry_after <= self._max_wait else None


def _is_throttled(result: httpx.Response | httpx.TransportError) -> bool:
    if not isinstance(result, httpx.Response):
        return False
    is_unavailable = result.status_code == HTTPStatus.SERVICE_UNAVAILABLE and "retry-after" in result.headers
    return is_unavailable or result.status_code == HTTPStatus.TOO_MANY_REQUESTS


def _is_malformed(response: httpx.Response) -> bool:
    """Return whether a success is not JSON (truncated, or an HTML page), or a 403 is a page of a firewall."""
    if response.status_code == HTTPStatus.FORBIDDEN:
        return response.content.lstrip().startswith(b"<")
    if not response.is_success:
        return False
    try:
        parse_json(response.content, max_depth=MAX_DEPTH)
    except ValueError:
        return True
    return False
