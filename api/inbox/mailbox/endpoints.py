"""HTTP for a workspace's mailbox."""

from fastapi import status

from api.http.dependencies import AdminDep, MemberDep
from api.http.errors import Forbidden, NotFound, PreconditionFailed, responses
from api.http.preconditions import IfMatch
from api.http.routing import create_router
from api.inbox.mailbox import service
from api.inbox.mailbox.schemas import USUAL_PORTS, MailboxIn, MailboxOut
from api.inbox.mailbox.service import Settings

router = create_router("/api/workspaces/{workspaceId}/mailbox", "mailboxes")


@router.get("", operation_id="getMailbox", responses=responses(NotFound))
async def get_mailbox(member: MemberDep) -> MailboxOut:
    """The mailbox that answers are read from, and how reading it goes."""
    return MailboxOut.of(await service.find_mailbox(member.session, member.workspace_id))


@router.put("", operation_id="putMailbox", responses=responses(Forbidden, NotFound, PreconditionFailed))
async def put_mailbox(member: MemberDep, admin: AdminDep, body: MailboxIn, if_match: IfMatch) -> MailboxOut:
    """Read answers from a mailbox, at once and then every minute; without an error in sight it serves."""
    held = await service.lock_mailbox(member.session, member.workspace_id)
    if held is not None:
        if_match.require(MailboxOut.of(held))
    settings = Settings(
        host=body.host,
        port=body.port or USUAL_PORTS[body.security],
        security=body.security,
        username=body.username,
        password=body.password.get_secret_value(),
        folder=body.folder,
        read_since=body.read_since,
    )
    put = await service.put_mailbox(
        member.session, member.workspace_id, held, admin.services.secrets, settings, member.now
    )
    return MailboxOut.of(put)


@router.delete(
    "",
    operation_id="deleteMailbox",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(Forbidden, NotFound, PreconditionFailed),
)
async def delete_mailbox(member: MemberDep, _admin: AdminDep, if_match: IfMatch) -> None:
    """Read the mailbox no more, and forget its password; what was read stays."""
    held = await service.lock_mailbox(member.session, member.workspace_id)
    if held is not None:
        if_match.require(MailboxOut.of(held))
    await service.delete_mailbox(member.session, member.workspace_id)
