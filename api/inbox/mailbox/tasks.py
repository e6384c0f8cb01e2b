"""The job that polls a workspace's mailbox."""

import asyncio
import logging
import time
import traceback
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from uuid import UUID

from api.http.errors import Malformed, WorkspaceGone
from api.http.resources import Services
from api.inbox.inbound.message import read_message
from api.inbox.mailbox import service
from api.inbox.mailbox.connection import Account, Arrival, MailboxRefused, MailboxUnavailable
from api.inbox.mailbox.imap import Folder, open_folder
from api.inbox.mailbox.service import Progress, ReceivedMessage
from api.jobs.engine import Deferred, Work
from api.jobs.work import hold_place
from database.models import Mailbox, MailboxSecurity
from database.secrets import UndecipherableSecret

log = logging.getLogger(__name__)

POLL_INTERVAL_SECONDS = 60.0
MAX_WAIT_SECONDS = 3600.0
MAX_POLL_SECONDS = 60.0
"""After this time other jobs run first, and the job continues after them."""
SERVER_ZONE_MARGIN = timedelta(days=1)
"""IMAP searches by the day in the time zone of the server, which may be behind that of the workspace."""


async def poll_mailbox(work: Work[Services]) -> None:
    """Read the new messages of a mailbox, and reschedule the job; it ends when the mailbox is deleted or disabled.

    It never fails permanently, because a mailbox has only this job.
    """
    async with work.transaction() as session:
        mailbox_id = UUID(work.payload["mailboxId"])
        mailbox = await service.find_mailbox_to_poll(session, work.workspace_id, mailbox_id)
    if mailbox is None:
        return
    try:
        is_complete = await _poll(work, mailbox)
    except (MailboxUnavailable, MailboxRefused) as error:
        next_attempt = await _record_failure(work, mailbox, str(error), is_refusal=isinstance(error, MailboxRefused))
        if next_attempt is None:
            return
        raise Deferred(next_attempt, str(error)) from error
    except (Deferred, WorkspaceGone):
        raise
    except Exception as error:
        # The error may contain what the server sent, so only its kind and its place are shown.
        log.error("Mailbox %s could not be read: %s", mailbox.id, _locate(error))  # noqa: TRY400 - as above
        raise Deferred(work.clock.after(POLL_INTERVAL_SECONDS), "The mailbox could not be read.") from error
    next_poll = work.clock.after(POLL_INTERVAL_SECONDS) if is_complete else work.clock.now()
    raise Deferred(next_poll, "The mailbox is polled every minute.")


async def _poll(work: Work[Services], mailbox: Mailbox) -> bool:
    """Read the new messages batch by batch; returns False if there are more."""
    stop_at = time.monotonic() + MAX_POLL_SECONDS
    async with (
        hold_place(work, work.resources.reading, mailbox.host.lower()),
        open_folder(_build_account(work, mailbox), work.resources.egress) as folder,
    ):
        is_complete = await _read(work, mailbox, folder, stop_at)
    if is_complete:
        async with work.transaction() as session:
            await service.record_poll(session, mailbox, work.clock.now())
    return is_complete


async def _read(work: Work[Services], mailbox: Mailbox, folder: Folder, stop_at: float) -> bool:
    previous = Progress(mailbox.uid_validity, mailbox.last_uid)
    # A new UIDVALIDITY makes stored UIDs invalid: the folder is read from the start, and messages that are stored
    # already are recognized by their Message-ID.
    after = previous.last_uid if previous.uid_validity == folder.uid_validity else 0
    since = mailbox.read_since - SERVER_ZONE_MARGIN
    async with aclosing(folder.read_batches(after, since)) as batches:
        async for batch in batches:
            reached = Progress(folder.uid_validity, batch.last_uid)
            messages = await asyncio.to_thread(_parse_messages, mailbox.id, batch.arrivals)
            if not await _store_batch(work, mailbox, previous, reached, messages):
                return True
            previous = reached
            if time.monotonic() > stop_at:
                return False
    return True


async def _store_batch(
    work: Work[Services],
    mailbox: Mailbox,
    previous: Progress,
    reached: Progress,
    messages: Sequence[ReceivedMessage],
) -> bool:
    """Store a batch; returns False if another worker has read on meanwhile."""
    now, public_url = work.clock.now(), work.resources.settings.public_url
    async with work.transaction() as session:
        unstorable_uids = await service.store_messages(
            session, mailbox, previous, reached, messages, public_url=public_url, now=now
        )
    for uid in unstorable_uids or ():
        log.warning("Message %s of mailbox %s cannot be stored.", uid, mailbox.id)
    return unstorable_uids is not None


def _parse_messages(mailbox_id: UUID, arrivals: Sequence[Arrival]) -> list[ReceivedMessage]:
    """Return the messages that can be parsed; the others are logged and skipped."""
    messages = []
    for arrival in arrivals:
        if arrival.raw is None:
            log.warning("The server does not return message %s of mailbox %s.", arrival.uid, mailbox_id)
            continue
        try:
            messages.append(ReceivedMessage(arrival.uid, read_message(arrival.raw), arrival.arrived_at))
        except Malformed as error:
            log.warning("Message %s of mailbox %s cannot be read: %s", arrival.uid, mailbox_id, error)
        except Exception as error:  # noqa: BLE001 - one message must not block the others
            log.error("Message %s of mailbox %s cannot be read: %s", arrival.uid, mailbox_id, _locate(error))  # noqa: TRY400 - it contains the message
    return messages


def _locate(error: Exception) -> str:
    """Return the kind of an error and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}" if frames else type(error).__name__


async def _record_failure(work: Work[Services], mailbox: Mailbox, error: str, *, is_refusal: bool) -> datetime | None:
    """Record a failure; returns the time of the next attempt, with exponential backoff, or None if it is disabled."""
    async with work.transaction() as session:
        failed = await service.record_poll_failure(session, mailbox, error, is_refusal=is_refusal, now=work.clock.now())
    if failed is None:
        return None
    wait = min(POLL_INTERVAL_SECONDS * 2 ** min(failed.failures - 1, 10), MAX_WAIT_SECONDS)
    return work.clock.after(wait)


def _build_account(work: Work[Services], mailbox: Mailbox) -> Account:
    try:
        password = work.resources.secrets.decrypt(mailbox.encrypted_password)
    except UndecipherableSecret as error:
        raise MailboxUnavailable(str(error)) from error
    return Account(
        host=mailbox.host,
        port=mailbox.port,
        security=MailboxSecurity(mailbox.security),
        username=mailbox.username,
        password=password,
        folder=mailbox.folder,
    )
