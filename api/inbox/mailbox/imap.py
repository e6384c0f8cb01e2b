"""A workspace's folder on an IMAP server, read in batches of limited size, in the order of its numbers."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial

from api.inbox.mailbox.connection import USUAL, Account, Arrival, Connection, Limits, MailboxFault, MailboxRefused


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages in the order of their numbers; with them everything up to `last_uid` is known."""

    arrivals: Sequence[Arrival]
    last_uid: int


class Folder:
    """A folder that was opened for reading."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._connection, self._limits = connection, limits
        self.uid_validity, self.uid_next = 0, 1

    async def open(self, account: Account) -> None:
        """Open the folder; raises MailboxFault and MailboxRefused."""
        self.uid_validity, self.uid_next = await self._connection.ask(partial(self._connection.open, account))

    async def batches(self, after: int, since: date) -> AsyncGenerator[Batch, None]:
        """Yield what arrived on a day or later and is numbered above `after`; raises MailboxFault."""
        first = after + 1
        while first < self.uid_next:
            last = min(first + self._limits.window, self.uid_next) - 1
            sizes = await self._connection.ask(partial(self._connection.sizes, first, last, since))
            for uids in _packed(sizes, self._limits):
                arrivals = await self._connection.ask(partial(self._connection.fetch, uids))
                yield Batch(arrivals, uids[-1])
            yield Batch((), last)
            first = last + 1


@asynccontextmanager
async def open_folder(account: Account, limits: Limits = USUAL) -> AsyncIterator[Folder]:
    """Connect, log in and open the folder read-only; raises MailboxFault and MailboxRefused."""
    connection = Connection(limits)
    try:
        folder = Folder(connection, limits)
        await folder.open(account)
        yield folder
        with contextlib.suppress(MailboxFault, MailboxRefused):
            await connection.ask(connection.log_out)
    finally:
        connection.cut()


def _packed(sizes: Sequence[tuple[int, int]], limits: Limits) -> Iterator[list[int]]:
    """Yield numbers in order, as many at once as may be read at once; `sizes` are (number, bytes)."""
    batch: list[int] = []
    size = 0
    for uid, told in sizes:
        length = min(told, limits.message_bytes)
        if batch and (len(batch) == limits.batch_messages or size + length > limits.batch_bytes):
            yield batch
            batch, size = [], 0
        batch.append(uid)
        size += length
    if batch:
        yield batch
