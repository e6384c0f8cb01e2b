"""Endpoints of a workspace's mailbox."""

from fastapi import status

from api.http.dependencies import AdminDep, MemberDep
from api.http.errors import Forbidden, HostRefused, NotFound, PreconditionFailed, responses
from api.http.hosts import require_permitted_hosts
from api.http.preconditions import IfMatch
from api.http.routing import create_router
from api.inbox.mailbox import service
from api.inbox.mailbox.schemas import DEFAULT_PORTS, MailboxIn, MailboxOut
from api.inbox.mailbox.service import Settings

router = create_router("/api/workspaces/{workspaceId}/mailbox", "mailboxes")


@router.get("", operation_id="getMailbox", responses=responses(NotFound))
async def get_mailbox(member: MemberDep) -> MailboxOut:
    """Get the mailbox that replies are read from, and the state of reading it."""
    return MailboxOut.of(await service.find_mailbox(member.session, member.workspace_id))


@router.put("", operation_id="putMailbox", responses=responses(Forbidden, HostRefused, NotFound, PreconditionFailed))
async def put_mailbox(member: MemberDep, admin: AdminDep, body: MailboxIn, if_match: IfMatch) -> MailboxOut:
    """Read replies from a mailbox, at once and then every minute; `lastError` says why that fails."""
    await require_permitted_hosts(admin.services.egress, {"host": body.host})
    mailbox = await service.lock_mailbox(member.session, member.workspace_id)
    if mailbox is not None:
        if_match.require(MailboxOut.of(mailbox))
    settings = Settings(
        host=body.host,
        port=body.port or DEFAULT_PORTS[body.security],
        security=body.security,
        username=body.username,
        password=body.password.get_secret_value(),
        folder=body.folder,
        read_since=body.read_since,
    )
    new_mailbox = await service.put_mailbox(
        member.session, member.workspace_id, mailbox, admin.services.secrets, settings, member.now
    )
    return MailboxOut.of(new_mailbox)


@router.delete(
    "",
    operation_id="deleteMailbox",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(Forbidden, NotFound, PreconditionFailed),
)
async def delete_mailbox(member: MemberDep, _admin: AdminDep, if_match: IfMatch) -> None:
    """Stop reading the mailbox and delete its password; replies that were read stay."""
    mailbox = await service.lock_mailbox(member.session, member.workspace_id)
    if mailbox is not None:
        if_match.require(MailboxOut.of(mailbox))
    await service.delete_mailbox(member.session, member.workspace_id)
