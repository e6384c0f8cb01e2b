"""Whether a message is somebody's answer, to what, and that it is taken once."""

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

CLOCKS_DIFFER = timedelta(minutes=5)
"""How much earlier than the mail it answers a server may say that a message arrived."""


class Receipt(StrEnum):
    """What became of a message that came in."""

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
    only_answers: bool = False,
) -> Receipt:
    """Store a reply once, matched to what it answers, and have it read; raises WorkspaceGone.

    Matched by the ids in In-Reply-To and References, then by the reply address it was sent to, then by its sender. What
    the workspace sent itself is no reply, wherever a copy of it turns up; `public_url` is where its links lead. What
    answers nothing is stored too, unless it comes from where other mail arrives as well (`only_answers`).
    """
    if _is_own(message, await workspaces.find_workspace(session, workspace_id), public_url):
        return Receipt.OWN
    answered = await repository.find_answered_draft(session, workspace_id, message.answered)
    if answered is None:
        before = received_at + CLOCKS_DIFFER
        answered = await repository.find_last_draft_to(session, workspace_id, message.from_email, before)
    if answered is None and only_answers:
        return Receipt.UNRELATED
    values = {
        "lead_id": answered.lead_id if answered else None,
        "enrollment_id": answered.enrollment_id if answered else None,
        "draft_id": answered.id if answered else None,
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
    """Say whether a message is the workspace's own: written in its name, or with the marks of what it sends.

    Only its own headers count: a report or an answer may hold a mail of ours within.
    """
    ours = [workspace.default_from_email, workspace.reply_to_email]
    if any(mailbox and is_delivered_to(message.from_email, mailbox) for mailbox in ours):
        return True
    way_out = f"<{public_url.rstrip('/')}/u/"
    for name, value in message.headers:
        if name.lower() == MESSAGE_HEADER.lower() or (name.lower() == "list-unsubscribe" and way_out in value):
            return True
    return False
