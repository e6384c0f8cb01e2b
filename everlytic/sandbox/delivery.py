"""Outgoing posts (webhooks, replies, one-click unsubscribes): a bounded pool of connections, retries, and parking.

What is not answered with 2xx is tried again every five virtual minutes for three days after its first try, then
parked; a reprocess puts back what was parked within the last seven days.
"""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from everlytic.sandbox.agenda import Agenda
from everlytic.sandbox.clock import Clock
from everlytic.sandbox.wire import Link, origin, request_bytes

RETRY_EVERY = 300.0
RETRY_FOR = 3 * 86_400.0
REPROCESS_WITHIN = 7 * 86_400.0
CONNECTIONS = 24

log = logging.getLogger(__name__)

Rendered = tuple[str, str, dict[str, str], bytes]
"""Verb, URL, headers, body."""


@dataclass(slots=True)
class Parcel:
    """One thing to post.

    ``render`` gives the request at the time of each try, None when it is no longer wanted, or an OSError when there is
    nowhere to post it yet. ``delivered`` is told the virtual time of the 2xx.
    """

    username: str
    render: Callable[[], Rendered | None]
    delivered: Callable[[float], None]
    timeout: float
    first_try: float | None = None
    parked_at: float | None = None
    tries: int = 0
    number: int = field(default_factory=itertools.count().__next__)


class Postman:
    """Posts parcels and keeps count. ``start`` and ``stop`` belong to the process's life."""

    def __init__(self, clock: Clock, agenda: Agenda) -> None:
        self._clock, self._agenda = clock, agenda
        self._queue: asyncio.Queue[Parcel] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []
        self.pending: dict[int, Parcel] = {}
        self.parked: dict[int, Parcel] = {}
        self.counts: Counter[str] = Counter()
        self._in_hand = 0

    def start(self) -> None:
        """Open the doors."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(CONNECTIONS)]

    async def stop(self) -> None:
        """Stop at once; what is pending is lost with the process."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def post(self, parcel: Parcel) -> None:
        """Take a parcel to be posted as soon as a connection is free."""
        self.pending[parcel.number] = parcel
        self._queue.put_nowait(parcel)

    @property
    def busy(self) -> int:
        """Parcels being posted or waiting for a connection; those waiting for their retry are not counted."""
        return self._queue.qsize() + self._in_hand

    def reprocess(self, username: str) -> int:
        """Put back what was parked in the last seven days; returns how many."""
        earliest = self._clock.now() - REPROCESS_WITHIN
        found = [one for one in self.parked.values() if one.username == username and (one.parked_at or 0) >= earliest]
        for parcel in found:
            del self.parked[parcel.number]
            parcel.first_try = parcel.parked_at = None
            self.post(parcel)
        return len(found)

    def forget(self, username: str | None = None) -> None:
        """Drop the parcels of one username, or all; those in flight end without a trace."""
        for shelf in (self.pending, self.parked):
            for number in [number for number, one in shelf.items() if username in (None, one.username)]:
                del shelf[number]

    async def deliver_now(self, parcel: Parcel) -> None:
        """Post in the caller's time, once; on failure it joins the queue's retries."""
        self.pending[parcel.number] = parcel
        links: dict[str, Link] = {}
        await self._try(parcel, links)
        for link in links.values():
            link.close()

    async def _work(self) -> None:
        links: dict[str, Link] = {}
        try:
            while True:
                await self._try(await self._queue.get(), links)
        finally:
            for link in links.values():
                link.close()

    async def _try(self, parcel: Parcel, links: dict[str, Link]) -> None:
        self._in_hand += 1
        try:
            await self._attempt(parcel, links)
        finally:
            self._in_hand -= 1

    async def _attempt(self, parcel: Parcel, links: dict[str, Link]) -> None:
        if parcel.number not in self.pending:
            return
        parcel.tries += 1
        parcel.first_try = self._clock.now() if parcel.first_try is None else parcel.first_try
        try:
            rendered = parcel.render()
            if rendered is None:
                del self.pending[parcel.number]
                return
            async with asyncio.timeout(parcel.timeout):
                status = await self._exchange(links, rendered)
        except (OSError, TimeoutError, ValueError) as error:
            log.debug("delivery failed: %s", type(error).__name__)
            status = 0
        except Exception:
            log.exception("a delivery could not be made")
            status = 0
        self._settle(parcel, delivered=200 <= status < 300)  # noqa: PLR2004 - any 2xx

    async def _exchange(self, links: dict[str, Link], rendered: Rendered) -> int:
        verb, url, headers, body = rendered
        place, request = origin(url), request_bytes(verb, url, headers, body)
        kept = links.pop(place, None)
        if kept is not None:
            try:
                return await self._use(links, place, kept, request)
            except OSError:
                # The receiver may have closed an idle connection; a fresh one decides.
                kept = None
        return await self._use(links, place, await Link.open(url), request)

    @staticmethod
    async def _use(links: dict[str, Link], place: str, link: Link, request: bytes) -> int:
        status = None
        try:
            status = await link.exchange(request)
            return status
        finally:
            if status is not None and link.reusable:
                links[place] = link
            else:
                link.close()

    def _settle(self, parcel: Parcel, *, delivered: bool) -> None:
        if parcel.number not in self.pending:
            return
        now = self._clock.now()
        if delivered:
            del self.pending[parcel.number]
            self.counts["delivered"] += 1
            parcel.delivered(now)
            return
        self.counts["failed_tries"] += 1
        if now + RETRY_EVERY > (parcel.first_try or now) + RETRY_FOR:
            del self.pending[parcel.number]
            parcel.parked_at = now
            self.parked[parcel.number] = parcel
            self.counts["parked"] += 1
            return
        self._agenda.at(now + RETRY_EVERY, self._queue.put_nowait, parcel)
