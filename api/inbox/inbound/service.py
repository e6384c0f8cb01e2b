"""Stores a message once as a reply, matched to the mail that it answers."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.inbox.inbound import repository
from api.inbox.inbound.message import InboundMessage
from api.inbox.replies.service import CLASSIFY_REPLY
from database import jobs
from database.models import Workspace
from domain.reply_address import is_delivered_to
from everlytic.models import MESSAGE_HEADER

MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
"""How much earlier than the mail that it answers a reply may arrive, by the clock of its server."""


class Receipt(StrEnum):
    """The result of receiving a message."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    OWN = "own"
    UNRELATED = "unrelated"


async def receive_message(
    session: AsyncSession,
    workspace_id: UUID,
    message: InboundMessage,
    *,
    public_url: str,
    received_at: datetime,
    now: datetime,
    only_replies: bool = False,
) -> Receipt:
    """Store a reply once, matched to the mail that it answers, and enqueue its classification; raises WorkspaceGone.

    It is matched by the ids in In-Reply-To and References, then by the reply address that it was sent to, then by its
    sender. Copies of the workspace's own mails, whose links begin with `public_url`, are not replies. A message that
    answers no mail is stored as well, unless the source receives other mail too (`only_replies`).
    """
    if _is_own(message, await workspaces.find_workspace(session, workspace_id), public_url):
        return Receipt.OWN
    draft = await repository.find_draft_by_ids(session, workspace_id, message.answered_ids)
    if draft is None:
        before = received_at + MAX_CLOCK_DIFFERENCE
        draft = await repository.find_last_draft_to(session, workspace_id, message.from_email, before)
    if draft is None and only_replies:
        return Receipt.UNRELATED
    values = {
        "lead_id": draft.lead_id if draft else None,
        "enrollment_id": draft.enrollment_id if draft else None,
        "draft_id": draft.id if draft else None,
        "message_id": message.message_id,
        "from_email": message.from_email,
        "subject": message.subject,
        "text": message.text,
        "headers": [{"name": name, "value": value} for name, value in message.headers],
        "received_at": received_at,
    }
    reply_id = await repository.add_reply(session, workspace_id, values)
    if reply_id is None:
        return Receipt.DUPLICATE
    await jobs.enqueue(session, CLASSIFY_REPLY, workspace_id, [jobs.Job(now, {"replyId": str(reply_id)})])
    return Receipt.STORED


def _is_own(message: InboundMessage, workspace: Workspace, public_url: str) -> bool:
    """Return whether the workspace sent a message: its sender or its own headers show it.

    Headers of attached messages do not count, because a delivery report or a reply may contain a mail of the workspace.
    """
    own_addresses = [workspace.default_from_email, workspace.reply_to_email]
    if any(mailbox and is_delivered_to(message.from_email, mailbox) for mailbox in own_addresses):
        return True
    unsubscribe_prefix = f"<{public_url.rstrip('/')}/u/"
    for name, value in message.headers:
        if name.lower() == MESSAGE_HEADER.lower() or (
            name.lower() == "list-unsubscribe" and unsubscribe_prefix in value
        ):
            return True
    return False
