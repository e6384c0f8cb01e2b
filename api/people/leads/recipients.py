"""Stops the recipients of mails: the address that was mailed is suppressed, and its leads are not mailed again."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import or_404
from api.people.leads import repository, service
from api.people.leads.repository import Recipient
from api.people.suppressions import service as suppressions
from domain.suppression import SuppressionReason, derive_person_key

__all__ = ["Recipient", "find_address", "find_lead", "get_recipient", "list_known", "stop_addresses", "stop_recipients"]


async def get_recipient(session: AsyncSession, workspace_id: UUID, lead_id: UUID, draft_id: UUID) -> Recipient:
    """Return the recipient of a mail to a lead; raises NotFound."""
    found = await repository.find_recipients(session, workspace_id, [draft_id])
    recipient = next((recipient for recipient in found if recipient.lead_id == lead_id), None)
    return or_404(recipient, "The mail of this unsubscribe link no longer exists.")


async def stop_recipients(
    session: AsyncSession,
    workspace_id: UUID,
    draft_ids: Collection[UUID],
    *,
    reason: SuppressionReason,
    cause: str,
    now: datetime,
) -> None:
    """Suppress the addresses that these mails were sent to, and stop the leads of the mails.

    An erased address is suppressed by its hash. Leads that have one of these addresses by now stop too. A reason of
    the recipient unsubscribes the leads; a hard bounce stops their enrollments.
    """
    if not draft_ids:
        return
    recipients = await repository.find_recipients(session, workspace_id, sorted(draft_ids))
    addresses = {recipient.address for recipient in recipients if recipient.address is not None}
    hashes = {recipient.address_hash for recipient in recipients if recipient.address_hash is not None}
    lead_ids = {recipient.lead_id for recipient in recipients}
    await suppressions.suppress_hashes(session, workspace_id, sorted(hashes), reason=reason, source=cause, at=now)
    await stop_addresses(session, workspace_id, addresses, lead_ids, reason=reason, cause=cause, now=now)


async def stop_addresses(
    session: AsyncSession,
    workspace_id: UUID,
    addresses: Collection[str],
    lead_ids: Collection[UUID],
    *,
    reason: SuppressionReason,
    cause: str,
    now: datetime,
) -> None:
    """Suppress addresses, and stop these leads and those that have one of the addresses, as `stop_recipients` does."""
    values = sorted(addresses)
    await suppressions.suppress_addresses(session, workspace_id, values, reason=reason, source=cause, at=now)
    await service.stop_holders(session, workspace_id, values, lead_ids, reason=reason, cause=cause, now=now)


async def find_address(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> str | None:
    """Return the address that a mail was sent to; None if it was erased."""
    found = await repository.find_recipients(session, workspace_id, [draft_id])
    return found[0].address if found else None


async def find_lead(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> UUID:
    """Return the lead that a mail was sent to; raises NotFound."""
    found = await repository.find_recipients(session, workspace_id, [draft_id])
    return or_404(next(iter(found), None), "There is no such mail.").lead_id


async def list_known(session: AsyncSession, workspace_id: UUID, addresses: Sequence[str]) -> set[str]:
    """Return those of the addresses that a mail was sent to, in this spelling, or that a lead has in any spelling."""
    if not addresses:
        return set()
    held = await service.list_holders(session, addresses)
    mailed = await repository.list_mailed(session, workspace_id, addresses)
    return mailed | {address for address in addresses if derive_person_key(address) in held}
