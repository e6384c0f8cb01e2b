"""Reads a folder on an IMAP server in batches of limited size, in the order of the UIDs."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial

from api.inbox.mailbox.connection import (
    DEFAULT_LIMITS,
    Account,
    Arrival,
    Connection,
    Limits,
    MailboxRefused,
    MailboxUnavailable,
)
from egress.policy import EgressPolicy


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages in the order of their UIDs; after them, everything up to `last_uid` has been read."""

    arrivals: Sequence[Arrival]
    last_uid: int


class Folder:
    """An open folder."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._connection, self._limits = connection, limits
        self.uid_validity, self.uid_next = 0, 1

    async def open(self, account: Account) -> None:
        """Open the folder; raises MailboxUnavailable and MailboxRefused."""
        self.uid_validity, self.uid_next = await self._connection.run(partial(self._connection.open, account))

    async def read_batches(self, after: int, since: date) -> AsyncGenerator[Batch, None]:
        """Yield the messages since a day with UIDs above `after`; raises MailboxUnavailable."""
        first = after + 1
        while first < self.uid_next:
            last = min(first + self._limits.window_uids, self.uid_next) - 1
            sizes = await self._connection.run(partial(self._connection.list_sizes, first, last, since))
            for uids in _split_into_batches(sizes, self._limits):
                arrivals = await self._connection.run(partial(self._connection.fetch, uids))
                yield Batch(arrivals, uids[-1])
            yield Batch((), last)
            first = last + 1


@asynccontextmanager
async def open_folder(account: Account, policy: EgressPolicy, limits: Limits = DEFAULT_LIMITS) -> AsyncIterator[Folder]:
    """Connect, log in and open the folder read-only; raises MailboxUnavailable and MailboxRefused."""
    connection = Connection(limits, policy)
    try:
        folder = Folder(connection, limits)
        await folder.open(account)
        yield folder
        with contextlib.suppress(MailboxUnavailable, MailboxRefused):
            await connection.run(connection.log_out)
    finally:
        connection.abort()


def _split_into_batches(sizes: Sequence[tuple[int, int]], limits: Limits) -> Iterator[list[int]]:
    """Yield UIDs in order, as many at once as the limits allow; `sizes` are pairs of UID and bytes."""
    batch: list[int] = []
    size = 0
    for uid, message_size in sizes:
        length = min(message_size, limits.message_bytes)
        if batch and (len(batch) == limits.batch_messages or size + length > limits.batch_bytes):
            yield batch
            batch, size = [], 0
        batch.append(uid)
        size += length
    if batch:
        yield batch
