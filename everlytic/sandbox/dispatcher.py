"""Sends outgoing requests (webhooks, replies, one-click unsubscribes): a connection pool, retries and reprocessing.

A delivery without a 2xx response is retried every five virtual minutes for three days after its first attempt, and has
then failed. A reprocess queues the deliveries that failed within the last seven days again.
"""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from everlytic.sandbox.clock import Clock
from everlytic.sandbox.http_connection import Connection, encode_request, get_origin
from everlytic.sandbox.scheduler import Scheduler

RETRY_INTERVAL = 300.0
RETRY_PERIOD = 3 * 86_400.0
REPROCESS_PERIOD = 7 * 86_400.0
CONNECTIONS = 24

log = logging.getLogger(__name__)

OutgoingRequest = tuple[str, str, dict[str, str], bytes]
"""Verb, URL, headers and body."""


@dataclass(slots=True)
class Delivery:
    """One request to deliver.

    ``build_request`` returns the request at each attempt, or None when the delivery is obsolete; it raises an OSError
    when there is no URL yet. ``on_delivered`` is called with the virtual time of the 2xx response.
    """

    username: str
    build_request: Callable[[], OutgoingRequest | None]
    on_delivered: Callable[[float], None]
    timeout: float
    first_attempt_at: float | None = None
    failed_at: float | None = None
    attempts: int = 0
    number: int = field(default_factory=itertools.count().__next__)


class Dispatcher:
    """Sends deliveries and counts them; ``start`` and ``stop`` run with the process."""

    def __init__(self, clock: Clock, scheduler: Scheduler) -> None:
        self._clock, self._scheduler = clock, scheduler
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []
        self.pending: dict[int, Delivery] = {}
        self.failed: dict[int, Delivery] = {}
        self.counts: Counter[str] = Counter()
        self._in_progress = 0

    def start(self) -> None:
        """Start the workers."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(CONNECTIONS)]

    async def stop(self) -> None:
        """Cancel the workers; pending deliveries are lost."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def enqueue(self, delivery: Delivery) -> None:
        """Queue a delivery for the next free connection."""
        self.pending[delivery.number] = delivery
        self._queue.put_nowait(delivery)

    @property
    def busy(self) -> int:
        """The number of deliveries in progress or waiting for a connection, without those waiting for a retry."""
        return self._queue.qsize() + self._in_progress

    def reprocess(self, username: str) -> int:
        """Queue the deliveries that failed within the last seven days again, and return their number."""
        earliest = self._clock.now() - REPROCESS_PERIOD
        deliveries = [
            delivery
            for delivery in self.failed.values()
            if delivery.username == username and (delivery.failed_at or 0) >= earliest
        ]
        for delivery in deliveries:
            del self.failed[delivery.number]
            delivery.first_attempt_at = delivery.failed_at = None
            self.enqueue(delivery)
        return len(deliveries)

    def discard(self, username: str | None = None) -> None:
        """Discard the deliveries of one username, or all; the results of those in progress are ignored."""
        for deliveries in (self.pending, self.failed):
            obsolete = [number for number, delivery in deliveries.items() if username in (None, delivery.username)]
            for number in obsolete:
                del deliveries[number]

    async def deliver_now(self, delivery: Delivery) -> None:
        """Attempt a delivery in the caller's task; a failure is retried like any other."""
        self.pending[delivery.number] = delivery
        connections: dict[str, Connection] = {}
        await self._count_and_attempt(delivery, connections)
        for connection in connections.values():
            connection.close()

    async def _work(self) -> None:
        connections: dict[str, Connection] = {}
        try:
            while True:
                await self._count_and_attempt(await self._queue.get(), connections)
        finally:
            for connection in connections.values():
                connection.close()

    async def _count_and_attempt(self, delivery: Delivery, connections: dict[str, Connection]) -> None:
        self._in_progress += 1
        try:
            await self._attempt(delivery, connections)
        finally:
            self._in_progress -= 1

    async def _attempt(self, delivery: Delivery, connections: dict[str, Connection]) -> None:
        if delivery.number not in self.pending:
            return
        delivery.attempts += 1
        if delivery.first_attempt_at is None:
            delivery.first_attempt_at = self._clock.now()
        try:
            request = delivery.build_request()
            if request is None:
                del self.pending[delivery.number]
                return
            async with asyncio.timeout(delivery.timeout):
                status = await self._exchange(connections, request)
        except (OSError, TimeoutError, ValueError) as error:
            log.debug("delivery failed: %s", str(error) or "timeout")
            status = 0
        except Exception:
            log.exception("a delivery could not be made")
            status = 0
        self._record_attempt(delivery, delivered=200 <= status < 300)  # noqa: PLR2004 - any 2xx

    async def _exchange(self, connections: dict[str, Connection], request: OutgoingRequest) -> int:
        verb, url, headers, body = request
        origin, content = get_origin(url), encode_request(verb, url, headers, body)
        idle = connections.pop(origin, None)
        if idle is not None:
            try:
                return await self._use(connections, origin, idle, content)
            except OSError:
                # The receiver may have closed the idle connection, so try once more with a new one.
                idle = None
        return await self._use(connections, origin, await Connection.open(url), content)

    @staticmethod
    async def _use(connections: dict[str, Connection], origin: str, connection: Connection, content: bytes) -> int:
        status = None
        try:
            status = await connection.exchange(content)
            return status
        finally:
            if status is not None and connection.is_reusable:
                connections[origin] = connection
            else:
                connection.close()

    def _record_attempt(self, delivery: Delivery, *, delivered: bool) -> None:
        if delivery.number not in self.pending:
            return
        now = self._clock.now()
        if delivered:
            del self.pending[delivery.number]
            self.counts["delivered"] += 1
            delivery.on_delivered(now)
            return
        self.counts["failed_tries"] += 1
        if now + RETRY_INTERVAL > (delivery.first_attempt_at or now) + RETRY_PERIOD:
            del self.pending[delivery.number]
            delivery.failed_at = now
            self.failed[delivery.number] = delivery
            self.counts["parked"] += 1
            return
        self._scheduler.schedule(now + RETRY_INTERVAL, self._queue.put_nowait, delivery)
