"""Patience with the provider: reads that it turned away or broke off are tried again, within bounds."""

import asyncio

import httpx

RETRYABLE = {429, 500, 502, 503, 504}


class PatientTransport(httpx.AsyncBaseTransport):
    """Repeats GETs that broke off or were answered 429 or 5xx; it honours Retry-After up to `longest_wait` seconds.

    After `tries` the last answer, or the last break, is handed on, so that the caller sees what the provider did.
    Nothing but GETs is ever repeated.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, *, tries: int = 5, longest_wait: float = 30.0) -> None:
        self._inner = inner
        self._tries = tries
        self._longest_wait = longest_wait

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer the request, after as many tries as it needs and may have."""
        if request.method != "GET":
            return await self._inner.handle_async_request(request)
        for attempt in range(1, self._tries):
            try:
                response = await self._inner.handle_async_request(request)
            except httpx.TransportError:
                await asyncio.sleep(self._wait("", attempt))
                continue
            if response.status_code not in RETRYABLE:
                return response
            await response.aclose()
            await asyncio.sleep(self._wait(response.headers.get("retry-after", ""), attempt))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    def _wait(self, retry_after: str, attempt: int) -> float:
        said = retry_after.strip()
        return min(float(said) if said.isdigit() else 0.25 * 2**attempt, self._longest_wait)
