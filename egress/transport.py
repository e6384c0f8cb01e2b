"""The HTTP transport for hosts that tenants configure: checked addresses, a total deadline, a limit on the answer."""

import asyncio
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpcore
import httpx

from egress.errors import AnswerRefused, DeadlineExceeded, EgressError, RefusedConnection
from egress.policy import EgressPolicy

MEGABYTE = 1024**2
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_DECODED = frozenset({"gzip", "x-gzip", "deflate"})


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How long one call may take in total, how long its connection, and how long its answer may be when decoded."""

    seconds: float = 60.0
    connect_seconds: float = 10.0
    max_bytes: int = 4 * MEGABYTE


class GuardedTransport(httpx.AsyncHTTPTransport):
    """Makes calls by an EgressPolicy and within CallLimits, and returns answers that are read to their end.

    It follows no redirect and uses no proxy of the environment.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        limits: CallLimits,
        *,
        max_connections: int,
        idle_seconds: float = 30.0,
    ) -> None:
        super().__init__()
        self._limits = limits
        # httpx has no argument for the network; a test at the wire notices if this name changes.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=max_connections,
            keepalive_expiry=idle_seconds,
            network_backend=_CheckedNetwork(policy, limits.connect_seconds),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make one call; raises httpx.TransportError, and httpx.DecodingError for an answer that is not read."""
        request.headers["accept-encoding"] = "gzip"
        try:
            async with asyncio.timeout(self._limits.seconds):
                response = await super().handle_async_request(request)
                try:
                    content = await self._read(response)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise DeadlineExceeded(f"the answer was not complete within {self._limits.seconds:g} s") from error
        except httpx.ConnectError as error:
            if isinstance(error.__cause__, _NoConnection):
                raise RefusedConnection(str(error.__cause__)) from error
            raise
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _FRAMING]
        return httpx.Response(response.status_code, headers=headers, content=content, extensions=response.extensions)

    async def _read(self, response: httpx.Response) -> bytes:
        limit, chunks, size = self._limits.max_bytes, list[bytes](), 0
        assert isinstance(response.stream, httpx.AsyncByteStream)
        async for chunk in response.stream:
            size += len(chunk)
            if size > limit:
                raise AnswerRefused(f"the answer has more than {limit} bytes")
            chunks.append(chunk)
        return _decode(b"".join(chunks), response.headers.get("content-encoding", ""), limit)


_FRAMING = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
"""The headers that describe how an answer was sent, which no longer hold when it has been read."""


def _decode(content: bytes, encoding: str, limit: int) -> bytes:
    """Return decompressed content of at most `limit` bytes; no more than that is ever decompressed."""
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"} or not content:
        return content
    if encoding not in _DECODED:
        raise AnswerRefused("the answer has an encoding that was not requested")
    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        decoded = decoder.decompress(content, limit + 1)
    except zlib.error as error:
        raise AnswerRefused("the answer is not encoded as its header says") from error
    if len(decoded) > limit:
        raise AnswerRefused(f"the answer has more than {limit} bytes when it is decompressed")
    if not decoder.eof:
        raise AnswerRefused("the answer is not encoded as its header says")
    return decoded


class _NoConnection(httpcore.ConnectError):
    """The policy permits no connection to the host."""


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to a host by an address that the policy has checked; TLS still verifies the name."""

    def __init__(self, policy: EgressPolicy, connect_seconds: float) -> None:
        self._policy, self._connect_seconds = policy, connect_seconds
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that answers."""
        with _translate_refusals():
            addresses = await self._policy.resolve(host)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(self._connect_seconds, timeout or self._connect_seconds)
        for attempt, address in enumerate(addresses):
            share = max((deadline - loop.time()) / (len(addresses) - attempt), 0.001)
            try:
                return await self._network.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if attempt == len(addresses) - 1:
                    raise
        raise AssertionError("a host has at least one address")

    async def sleep(self, seconds: float) -> None:
        """Sleep between attempts of the pool."""
        await self._network.sleep(seconds)


@contextmanager
def _translate_refusals() -> Iterator[None]:
    try:
        yield
    except EgressError as error:
        raise _NoConnection(str(error)) from error
