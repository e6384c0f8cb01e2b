"""Manages a workspace's mailbox: its settings, how far it has been read, and when reading it is stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.http.errors import or_404
from api.inbox.inbound import service as inbound
from api.inbox.inbound.message import InboundMessage
from api.inbox.mailbox import repository
from database import jobs
from database.models import Mailbox, MailboxSecurity
from database.secrets import SecretBox
from domain.job_types import POLL_MAILBOX

MAX_REFUSALS = 5
"""After this many refusals in a row the mailbox is disabled, because more attempts could lock the account."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a mailbox; without `read_since`, the date set before for the folder, or today, is used."""

    host: str
    port: int
    security: MailboxSecurity
    username: str
    password: str
    folder: str
    read_since: date | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a folder has been read: the last UID and its UIDVALIDITY (RFC 3501, section 2.3.1.1)."""

    uid_validity: int | None
    last_uid: int


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message of the folder, and when it arrived there."""

    uid: int
    message: InboundMessage
    arrived_at: datetime | None


async def find_mailbox(session: AsyncSession, workspace_id: UUID) -> Mailbox:
    """Return the workspace's mailbox; raises NotFound."""
    return or_404(await repository.find_mailbox(session, workspace_id), "This workspace has no mailbox yet.")


async def lock_mailbox(session: AsyncSession, workspace_id: UUID) -> Mailbox | None:
    """Return the workspace's mailbox, if any; no other transaction creates or changes it until this one ends."""
    await workspaces.lock_workspace(session, workspace_id)
    mailbox = await repository.find_mailbox(session, workspace_id)
    return await repository.lock_mailbox(session, workspace_id, mailbox.id) if mailbox else None


async def put_mailbox(
    session: AsyncSession,
    workspace_id: UUID,
    previous: Mailbox | None,
    secrets: SecretBox,
    settings: Settings,
    now: datetime,
) -> Mailbox:
    """Replace the locked mailbox, if any, and enqueue the first poll.

    Each mailbox is a new row, so the job of the previous one finds it deleted and ends. For the same folder the date
    stays, so that a correction loses no message; on the same host, reading also continues after the last UID.
    """
    same = previous if previous is not None and _is_same(previous, settings) else None
    workspace = await workspaces.find_workspace(session, workspace_id)
    today = now.astimezone(ZoneInfo(workspace.timezone)).date()
    read_since = settings.read_since or (same.read_since if same else today)
    # With an earlier date or on another host, the folder is read from the start.
    continues = same is not None and same.host.lower() == settings.host.lower() and read_since >= same.read_since
    known = same if continues else None
    if previous is not None:
        await repository.delete_mailbox(session, workspace_id)
    values = {
        "host": settings.host,
        "port": settings.port,
        "security": settings.security,
        "username": settings.username,
        "encrypted_password": secrets.encrypt(settings.password),
        "folder": settings.folder,
        "read_since": read_since,
        "uid_validity": known.uid_validity if known else None,
        "last_uid": known.last_uid if known else 0,
    }
    mailbox = await repository.add_mailbox(session, workspace_id, values)
    await jobs.enqueue(session, POLL_MAILBOX, workspace_id, [jobs.Job(now, {"mailboxId": str(mailbox.id)})])
    return mailbox


def _is_same(mailbox: Mailbox, settings: Settings) -> bool:
    return (mailbox.username, mailbox.folder) == (settings.username, settings.folder)


async def delete_mailbox(session: AsyncSession, workspace_id: UUID) -> None:
    """Delete the mailbox with its password; replies that were read from it stay. Raises NotFound."""
    await find_mailbox(session, workspace_id)
    await repository.delete_mailbox(session, workspace_id)


async def find_mailbox_to_poll(session: AsyncSession, workspace_id: UUID, mailbox_id: UUID) -> Mailbox | None:
    """Return the mailbox to read; None if it was replaced, deleted or disabled. Raises WorkspaceGone."""
    await workspaces.find_workspace(session, workspace_id)
    mailbox = await repository.find_mailbox(session, workspace_id)
    is_active = mailbox is not None and mailbox.id == mailbox_id and mailbox.disabled_at is None
    return mailbox if is_active else None


async def store_messages(
    session: AsyncSession,
    mailbox: Mailbox,
    previous: Progress,
    reached: Progress,
    messages: Sequence[ReceivedMessage],
    *,
    public_url: str,
    now: datetime,
) -> list[int] | None:
    """Store the replies among the messages, and the progress that is reached with them, in one transaction.

    Returns the UIDs of messages that cannot be stored, or None if another worker has read on from `previous` meanwhile.
    Messages that answer no mail are not stored, because the folder may receive other mail.
    """
    locked = await repository.lock_mailbox(session, mailbox.workspace_id, mailbox.id)
    if locked is None or Progress(locked.uid_validity, locked.last_uid) != previous:
        return None
    unstorable_uids: list[int] = []
    for received in messages:
        try:
            async with session.begin_nested():
                received_at = min(received.arrived_at or now, now)
                await inbound.receive_message(
                    session,
                    mailbox.workspace_id,
                    received.message,
                    public_url=public_url,
                    received_at=received_at,
                    now=now,
                    only_replies=True,
                )
        except DataError:
            unstorable_uids.append(received.uid)
    progress = {"uid_validity": reached.uid_validity, "last_uid": reached.last_uid}
    await repository.change_mailbox(session, mailbox.id, progress)
    return unstorable_uids


async def record_poll(session: AsyncSession, mailbox: Mailbox, now: datetime) -> None:
    """Record that every message in the folder has been read."""
    values = {"polled_at": now, "failures": 0, "refusals": 0, "last_error": None}
    await repository.change_mailbox(session, mailbox.id, values)


async def record_poll_failure(
    session: AsyncSession, mailbox: Mailbox, error: str, *, is_refusal: bool, now: datetime
) -> Mailbox | None:
    """Record a failed poll, and disable the mailbox after the last refusal; returns it unless it is disabled."""
    locked = await repository.lock_mailbox(session, mailbox.workspace_id, mailbox.id)
    if locked is None:
        return None
    locked.failures += 1
    locked.refusals = locked.refusals + 1 if is_refusal else 0
    locked.last_error = error
    if locked.refusals >= MAX_REFUSALS:
        locked.disabled_at = now
        return None
    return locked
