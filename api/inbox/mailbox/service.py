"""Which folder a workspace's answers are read from, how far it was read, and when reading it is given up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.http.errors import NotFound
from api.inbox.inbound import service as inbound
from api.inbox.inbound.message import InboundMessage
from api.inbox.mailbox import repository
from database import jobs
from database.models import Mailbox, MailboxSecurity
from database.secrets import SecretBox

POLL_MAILBOX = "poll_mailbox"
MOST_REFUSALS = 5
"""After so many refusals in a row nobody knocks any more: more would only have the account locked."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person says of a mailbox; without `read_since` it is read from the day it was, or from today on."""

    host: str
    port: int
    security: MailboxSecurity
    username: str
    password: str
    folder: str
    read_since: date | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a folder was read: up to which number, of which counting (RFC 3501, section 2.3.1.1)."""

    uid_validity: int | None
    last_uid: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that was read, and when it had arrived."""

    uid: int
    message: InboundMessage
    arrived_at: datetime | None


async def find_mailbox(session: AsyncSession, workspace_id: UUID) -> Mailbox:
    """Return the workspace's mailbox; raises NotFound when there is none."""
    mailbox = await repository.find_mailbox(session, workspace_id)
    if mailbox is None:
        raise NotFound("This workspace has no mailbox yet.")
    return mailbox


async def lock_mailbox(session: AsyncSession, workspace_id: UUID) -> Mailbox | None:
    """Return the workspace's mailbox, if any, which nobody else makes or changes until the transaction ends."""
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
    """Store a mailbox in the place of a held one, and have it read at once.

    It is a new one each time: the job that reads the one before finds it gone and ends. The same folder is read from
    the same day on, so that a corrected address loses nothing, and on the same host from where reading stopped.
    """
    same = previous if previous is not None and _is_same(previous, settings) else None
    workspace = await workspaces.find_workspace(session, workspace_id)
    today = now.astimezone(ZoneInfo(workspace.timezone)).date()
    read_since = settings.read_since or (same.read_since if same else today)
    # What is to be read from an earlier day on is looked through anew, and so is another host's folder.
    goes_on = same is not None and same.host.lower() == settings.host.lower() and read_since >= same.read_since
    known = same if goes_on else None
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
    """Forget the mailbox and its password; what was read from it stays. Raises NotFound when there is none."""
    await find_mailbox(session, workspace_id)
    await repository.delete_mailbox(session, workspace_id)


async def find_mailbox_to_poll(session: AsyncSession, workspace_id: UUID, mailbox_id: UUID) -> Mailbox | None:
    """Return a mailbox that is to be read; None when it was replaced, deleted or given up. Raises WorkspaceGone."""
    await workspaces.find_workspace(session, workspace_id)
    mailbox = await repository.find_mailbox(session, workspace_id)
    is_wanted = mailbox is not None and mailbox.id == mailbox_id and mailbox.disabled_at is None
    return mailbox if is_wanted else None


async def store_messages(
    session: AsyncSession,
    mailbox: Mailbox,
    read: Progress,
    reached: Progress,
    arrived: Sequence[Arrived],
    *,
    public_url: str,
    now: datetime,
) -> list[int] | None:
    """Store messages together with how far the folder is read with them: both or neither.

    Returns the numbers of those that the database cannot hold, or None when somebody else has read on from `read`
    meanwhile. Only answers are taken: other mail in the folder is nobody's business.
    """
    held = await repository.lock_mailbox(session, mailbox.workspace_id, mailbox.id)
    if held is None or Progress(held.uid_validity, held.last_uid) != read:
        return None
    left: list[int] = []
    for one in arrived:
        try:
            async with session.begin_nested():
                received_at = min(one.arrived_at or now, now)
                await inbound.receive_message(
                    session,
                    mailbox.workspace_id,
                    one.message,
                    public_url=public_url,
                    received_at=received_at,
                    now=now,
                    only_answers=True,
                )
        except DataError:
            left.append(one.uid)
    progress = {"uid_validity": reached.uid_validity, "last_uid": reached.last_uid}
    await repository.change_mailbox(session, mailbox.id, progress)
    return left


async def record_poll(session: AsyncSession, mailbox: Mailbox, now: datetime) -> None:
    """Note that all that was in the folder is read."""
    values = {"polled_at": now, "failures": 0, "refusals": 0, "last_error": None}
    await repository.change_mailbox(session, mailbox.id, values)


async def record_poll_failure(
    session: AsyncSession, mailbox: Mailbox, error: str, *, is_refusal: bool, now: datetime
) -> Mailbox | None:
    """Note why a folder was not read, and give it up after the last refusal; returns it unless it is given up."""
    held = await repository.lock_mailbox(session, mailbox.workspace_id, mailbox.id)
    if held is None:
        return None
    held.failures += 1
    held.refusals = held.refusals + 1 if is_refusal else 0
    held.last_error = error
    if held.refusals >= MOST_REFUSALS:
        held.disabled_at = now
        return None
    return held
