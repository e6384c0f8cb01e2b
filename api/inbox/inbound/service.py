"""Stores a message once as a reply, matched to the mail that it answers."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ai.registry import INTENT_CLASSIFICATION
from ai.run import RunContext, run
from ai.workflows.intent_classification.state import Intent, IntentInput
from api.accounts.workspaces import service as workspaces
from api.inbox.inbound import repository
from api.inbox.inbound.message import InboundMessage
from database import jobs
from database.models import Workspace
from domain.job_types import CLASSIFY_REPLY
from domain.reply_address import is_delivered_to
from domain.storable_text import remove_unstorable
from email_text.addresses import parse_mailboxes
from email_text.reports import Report, ReportKind
from everlytic.models import MESSAGE_HEADER

MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
"""How much earlier than the mail that it answers a reply may arrive, by the clock of its server."""

HIDDEN_AUTHOR = "The message came through an own address of the workspace, and its author is not named."
_STORED_REPORTS = frozenset({ReportKind.BOUNCE, ReportKind.COMPLAINT, ReportKind.UNSUBSCRIBE})


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

    It is matched by the ids in In-Reply-To and References and in a report, then by the reply address that it was sent
    to, then by the address that a report is about, then by its sender. Copies of the workspace's own mails, whose links
    begin with `public_url`, are not replies. A message that answers no mail is stored as well. If the source receives
    other mail too (`only_replies`), it is stored only if it is a no or reports a failure.
    """
    workspace = await workspaces.find_workspace(session, workspace_id)
    author = _find_author(message, workspace)
    if _has_own_marks(message, public_url):
        return Receipt.OWN
    draft = await repository.find_draft_by_ids(session, workspace_id, message.answered_ids)
    is_named = draft is not None
    if _is_own_address(author, workspace) and (draft is None or not _is_addressed_inward(message, workspace)):
        return Receipt.OWN
    if draft is None:
        before = received_at + MAX_CLOCK_DIFFERENCE
        for addresses in (_list_reported(message), [author]):
            draft = draft or await repository.find_last_draft_to(session, workspace_id, addresses, before)
    if draft is None and only_replies and not await _concerns_us(workspace_id, message, received_at):
        return Receipt.UNRELATED
    values = {
        "lead_id": draft.lead_id if draft else None,
        "enrollment_id": draft.enrollment_id if draft else None,
        "draft_id": draft.id if draft else None,
        "message_id": message.message_id,
        "from_email": author,
        "subject": message.subject,
        "text": message.text,
        "headers": [{"name": name, "value": value} for name, value in message.headers],
        "received_at": received_at,
        "report": _to_stored(message.report, names_mail=is_named),
        "review_reason": HIDDEN_AUTHOR if _is_own_address(author, workspace) else None,
    }
    reply_id = await repository.add_reply(session, workspace_id, values)
    if reply_id is None:
        return Receipt.DUPLICATE
    await jobs.enqueue(session, CLASSIFY_REPLY, workspace_id, [jobs.Job(now, {"replyId": str(reply_id)})])
    return Receipt.STORED


def _find_author(message: InboundMessage, workspace: Workspace) -> str:
    """Return who wrote a message, also if a group of the workspace or a list passed it on under its own address."""
    if message.sender is None:
        return message.from_email
    return message.sender.find_author(lambda address: _is_own_address(address, workspace))


def _is_own_address(address: str, workspace: Workspace) -> bool:
    mailboxes = (workspace.default_from_email, workspace.reply_to_email)
    return any(mailbox and is_delivered_to(address, mailbox) for mailbox in mailboxes)


def _is_addressed_inward(message: InboundMessage, workspace: Workspace) -> bool:
    """Return whether a message goes to the workspace's own addresses only, as a group delivers it to its members.

    What a user writes to a lead goes to another address.
    """
    recipients = [
        mailbox.address
        for name, value in message.headers
        if name.lower() in {"to", "cc"}
        for mailbox in parse_mailboxes(value)
    ]
    return bool(recipients) and all(_is_own_address(address, workspace) for address in recipients)


def _list_reported(message: InboundMessage) -> list[str]:
    recipients = message.report.recipients if message.report else ()
    return [address for recipient in recipients for address in recipient.addresses]


def _to_stored(report: Report | None, *, names_mail: bool) -> dict[str, Any] | None:
    if report is None:
        return None
    recipients = [
        {
            "addresses": list(recipient.addresses),
            "action": recipient.action,
            "status": recipient.status,
            "detail": remove_unstorable(recipient.detail),
        }
        for recipient in report.recipients
    ]
    return {"kind": report.kind.value, "recipients": recipients, "names_mail": names_mail}


async def _concerns_us(workspace_id: UUID, message: InboundMessage, received_at: datetime) -> bool:
    """Return whether a message that answers no mail is a no or reports a failure; the rules decide, and no model."""
    if message.report is not None and message.report.kind in _STORED_REPORTS:
        return True
    if message.report is not None:
        return False
    request = IntentInput(
        headers=list(message.headers), subject=message.subject, text=message.text, received_at=received_at
    )
    output = await run(INTENT_CLASSIFICATION, request, context=RunContext(workspace_id))
    return output.label is Intent.UNSUBSCRIBE


def _has_own_marks(message: InboundMessage, public_url: str) -> bool:
    """Return whether a message has the headers that the workspace's mails have.

    Headers of attached messages do not count, because a delivery report or a reply may contain a mail of the workspace.
    """
    unsubscribe_prefix = f"<{public_url.rstrip('/')}/u/"
    return any(
        name.lower() == MESSAGE_HEADER.lower() or (name.lower() == "list-unsubscribe" and unsubscribe_prefix in value)
        for name, value in message.headers
    )
