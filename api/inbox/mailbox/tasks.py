"""Reading a workspace's mailbox, again and again."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from uuid import UUID

from api.http.errors import Malformed, WorkspaceGone
from api.http.resources import Services
from api.inbox.inbound.message import read_message
from api.inbox.mailbox import service
from api.inbox.mailbox.connection import Account, Arrival, MailboxFault, MailboxRefused
from api.inbox.mailbox.imap import Folder, open_folder
from api.inbox.mailbox.service import Arrived, Progress
from api.jobs.engine import Deferred, Work
from database.models import Mailbox, MailboxSecurity
from database.secrets import UndecipherableSecret

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 3600.0
LONGEST_POLL_SECONDS = 60.0
"""After so long others have their turn; the rest is read at once after them."""


async def poll_mailbox(work: Work[Services]) -> None:
    """Read what is new in a mailbox, and put itself off until the next time; ends when there is nothing more to read.

    Nothing fails it for good: it is the one job that the mailbox has.
    """
    async with work.transaction() as session:
        mailbox_id = UUID(work.payload["mailboxId"])
        mailbox = await service.find_mailbox_to_poll(session, work.workspace_id, mailbox_id)
    if mailbox is None:
        return
    try:
        is_done = await _poll(work, mailbox)
    except (MailboxFault, MailboxRefused) as error:
        wait = await _failed(work, mailbox, str(error), is_refusal=isinstance(error, MailboxRefused))
        if wait is None:
            return
        raise Deferred(wait, str(error)) from error
    except (Deferred, WorkspaceGone):
        raise
    except Exception as error:
        log.exception("Mailbox %s could not be read.", mailbox.id)
        raise Deferred(work.clock.after(EVERY_SECONDS), f"{type(error).__name__}: {error}") from error
    now = work.clock.now()
    raise Deferred(work.clock.after(EVERY_SECONDS) if is_done else now, "The mailbox is read again and again.")


async def _poll(work: Work[Services], mailbox: Mailbox) -> bool:
    """Read what is new, batch by batch; returns False when there is more."""
    stop_at = time.monotonic() + LONGEST_POLL_SECONDS
    async with open_folder(_account(work, mailbox)) as folder:
        is_done = await _read(work, mailbox, folder, stop_at)
    if is_done:
        async with work.transaction() as session:
            await service.record_poll(session, mailbox, work.clock.now())
    return is_done


async def _read(work: Work[Services], mailbox: Mailbox, folder: Folder, stop_at: float) -> bool:
    read = Progress(mailbox.uid_validity, mailbox.last_uid)
    # Another counting means that the numbers which were noted say nothing: all that is wanted is looked at anew, and
    # what was taken before is known by its Message-ID.
    after = read.last_uid if read.uid_validity == folder.uid_validity else 0
    async with aclosing(folder.batches(after, mailbox.read_since)) as batches:
        async for batch in batches:
            reached = Progress(folder.uid_validity, batch.last_uid)
            arrived = await asyncio.to_thread(_understood, mailbox.id, batch.arrivals)
            if not await _take(work, mailbox, read, reached, arrived):
                return True
            read = reached
            if time.monotonic() > stop_at:
                return False
    return True


async def _take(
    work: Work[Services], mailbox: Mailbox, read: Progress, reached: Progress, arrived: Sequence[Arrived]
) -> bool:
    """Store a batch; returns False when somebody else has read on meanwhile."""
    now, public_url = work.clock.now(), work.resources.settings.public_url
    async with work.transaction() as session:
        left = await service.store_messages(session, mailbox, read, reached, arrived, public_url=public_url, now=now)
    for uid in left or ():
        log.warning("Message %s of mailbox %s cannot be stored.", uid, mailbox.id)
    return left is not None


def _understood(mailbox_id: UUID, arrivals: Sequence[Arrival]) -> list[Arrived]:
    """Return the messages that can be read; what cannot is logged and left where it is."""
    understood = []
    for arrival in arrivals:
        if arrival.raw is None:
            log.warning("Message %s of mailbox %s is not handed out by its server.", arrival.uid, mailbox_id)
            continue
        try:
            understood.append(Arrived(arrival.uid, read_message(arrival.raw), arrival.arrived_at))
        except Malformed as error:
            log.warning("Message %s of mailbox %s cannot be read: %s", arrival.uid, mailbox_id, error)
        except Exception:
            log.exception("Message %s of mailbox %s cannot be read.", arrival.uid, mailbox_id)
    return understood


async def _failed(work: Work[Services], mailbox: Mailbox, error: str, *, is_refusal: bool) -> datetime | None:
    """Note a failure; returns when to try again, twice as late each time, or None when the mailbox is given up."""
    async with work.transaction() as session:
        failed = await service.record_poll_failure(session, mailbox, error, is_refusal=is_refusal, now=work.clock.now())
    if failed is None:
        return None
    wait = min(EVERY_SECONDS * 2 ** min(failed.failures - 1, 10), LONGEST_WAIT_SECONDS)
    return work.clock.after(wait)


def _account(work: Work[Services], mailbox: Mailbox) -> Account:
    try:
        password = work.resources.secrets.decrypt(mailbox.encrypted_password)
    except UndecipherableSecret as error:
        raise MailboxFault(str(error)) from error
    return Account(
        host=mailbox.host,
        port=mailbox.port,
        security=MailboxSecurity(mailbox.security),
        username=mailbox.username,
        password=password,
        folder=mailbox.folder,
    )
