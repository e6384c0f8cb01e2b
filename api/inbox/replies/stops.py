"""What a no, a bounce or a departure stops: addresses and leads."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from ai.workflows.intent_classification.state import Intent
from api.accounts.workspaces import service as workspaces
from api.inbox.replies.reports import Outcome
from api.outreach.enrollment_status import service as enrollment_status
from api.people.leads import recipients
from database.models import Reply
from domain.enrollment import EnrollmentEvent
from domain.reply_address import is_delivered_to
from domain.suppression import SuppressionReason
from email_text.addresses import find_addresses
from email_text.forwards import find_colleague
from email_text.quotes import extract_reply
from email_text.text_bounces import is_daemon

MAX_NAMED_ADDRESSES = 20


async def stop_by_no(session: AsyncSession, reply: Reply, *, cause: str, now: datetime) -> None:
    """Unsubscribe the sender of a no, the address that was mailed, and the leads that its words name."""
    addresses = {
        *await _list_sender(session, reply),
        *await _list_mailed(session, reply),
        *await recipients.list_known(session, reply.workspace_id, _list_named(reply)),
    }
    await _stop(session, reply, addresses, SuppressionReason.UNSUBSCRIBED, cause=cause, now=now)


async def stop_by_report(session: AsyncSession, reply: Reply, outcome: Outcome, *, cause: str, now: datetime) -> None:
    """Suppress the address that a report is about, if it was mailed, and stop or pause its lead."""
    if outcome.suppression is not None:
        addresses = set(await _list_mailed(session, reply))
        await _stop(session, reply, addresses, outcome.suppression, cause=cause, now=now)
    elif outcome.pauses and reply.lead_id is not None:
        is_bounce = outcome.intent is Intent.BOUNCE
        event = EnrollmentEvent.HARD_BOUNCED if is_bounce else EnrollmentEvent.PAUSED
        await enrollment_status.apply_event_to_leads(
            session, reply.workspace_id, event, [reply.lead_id], cause=cause, now=now
        )


async def _stop(
    session: AsyncSession,
    reply: Reply,
    addresses: Collection[str],
    reason: SuppressionReason,
    *,
    cause: str,
    now: datetime,
) -> None:
    """Suppress addresses, and stop the lead of the reply and the leads that have one of the addresses."""
    lead_ids = [reply.lead_id] if reply.lead_id is not None else []
    await recipients.stop_addresses(
        session, reply.workspace_id, addresses, lead_ids, reason=reason, cause=cause, now=now
    )


async def _list_sender(session: AsyncSession, reply: Reply) -> list[str]:
    """Return the sender's address, unless it is the workspace's own or that of a mail system."""
    workspace = await workspaces.find_workspace(session, reply.workspace_id)
    own = filter(None, (workspace.default_from_email, workspace.reply_to_email))
    headers = [(str(header["name"]), str(header["value"])) for header in reply.headers]
    is_excluded = any(is_delivered_to(reply.from_email, address) for address in own) or is_daemon(headers)
    return [] if is_excluded or not reply.from_email else [reply.from_email]


async def _list_mailed(session: AsyncSession, reply: Reply) -> list[str]:
    if reply.draft_id is None:
        return []
    address = await recipients.find_address(session, reply.workspace_id, reply.draft_id)
    return [address] if address else []


def _list_named(reply: Reply) -> list[str]:
    """Return the addresses in the sender's own words, and the author of a colleague's message that is forwarded."""
    forwarded = find_colleague(reply.text, reply.from_email)
    authors = [forwarded.author] if forwarded else []
    return authors + find_addresses(f"{reply.subject}\n{extract_reply(reply.text)}")[:MAX_NAMED_ADDRESSES]
