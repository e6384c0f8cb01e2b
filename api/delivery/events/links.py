"""Sends another unsubscribe link to an address that was mailed, if its owner asks for one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.delivery.events import repository
from api.http.errors import NotFound
from api.people.leads import recipients
from api.people.suppressions import service as suppressions
from database import jobs
from database.models import EverlyticConnection, Workspace
from database.tenancy import Scope, enter_scope
from domain.job_types import SEND_UNSUBSCRIBE_LINK

REQUEST_INTERVAL = timedelta(hours=1)
"""At most one link is sent to an address in this time, whatever the workspace."""
LATEST_SEND = timedelta(days=1)
"""How long after its request a link is still sent."""


@dataclass(frozen=True, slots=True)
class LinkMail:
    """A mail with another unsubscribe link: its workspace, the mail that the link is about, and the recipient."""

    workspace: Workspace
    connection: EverlyticConnection
    lead_id: UUID
    draft_id: UUID
    address: str


async def request_link(session: AsyncSession, *, address: str, named_workspace_id: UUID | None, now: datetime) -> None:
    """Enqueue another link to an address that was mailed; does nothing for any other address.

    `named_workspace_id` is what the broken link still says, without proof: it only chooses among the workspaces that
    mailed the address. The caller's transaction has no scope and gets that of the workspace.
    """
    reserved = await repository.reserve_link(
        session, address, named_workspace_id, now, not_after=now - REQUEST_INTERVAL
    )
    if reserved is None:
        return
    workspace_id, draft_id = reserved
    await enter_scope(session, Scope(workspace_id=workspace_id))
    # One attempt, so that one request never sends two mails.
    job = jobs.Job(now, {"draftId": str(draft_id)})
    await jobs.enqueue(session, SEND_UNSUBSCRIBE_LINK, workspace_id, [job], max_attempts=1)


async def find_link_mail(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, *, public_url: str, now: datetime
) -> LinkMail | str:
    """Return the mail to send, or why none can be sent.

    Suppressions do not stop it, because its recipient asked for it, except the recipient's own no, which may have come
    since the request.
    """
    request = await repository.find_link_request(session, workspace_id, draft_id)
    if request is None or (address := request[0]) is None:
        return "the recipient was erased"
    if request[1] is None or request[1] < now - LATEST_SEND:
        return "the request is too old"
    if await suppressions.has_refused(session, workspace_id, address):
        return "the recipient has unsubscribed since the request"
    workspace = await workspaces.find_workspace(session, workspace_id)
    try:
        connection = await workspaces.find_connection(session, workspace_id)
    except NotFound:
        return "the workspace has no Everlytic connection"
    problems = workspaces.list_identity_problems(workspace, connection, public_url)
    if connection.disabled_at is not None:
        problems = (f"the Everlytic connection is disabled: {connection.disabled_reason}",)
    if problems:
        return "; ".join(problems)
    lead_id = await recipients.find_lead(session, workspace_id, draft_id)
    return LinkMail(workspace, connection, lead_id, draft_id, address)
