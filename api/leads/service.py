"""The people to write to: keeping their addresses unique, their lists counted, and their status lawful."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.errors import AlreadyExists, NotFound
from api.leads import repository
from api.pagination import PageRequest
from api.suppressions import service as suppressions
from database.models import Lead, LeadList
from domain.lead import LeadEvent, LeadSegment, LeadStatus, next_status
from domain.suppression import SuppressionReason, normalise_address

ADDRESS_INDEX = "uq_leads_workspace_id_email"


async def create_list(
    session: AsyncSession, workspace_id: UUID, name: str, *, source_filename: str | None = None
) -> LeadList:
    """Make an empty list."""
    return await repository.add_list(session, workspace_id, name, source_filename)


async def get_list(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> LeadList:
    """Return a list; raises NotFound."""
    found = await repository.find_list(session, workspace_id, list_id)
    if found is None:
        raise NotFound("There is no such lead list.")
    return found


async def list_lists(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[LeadList]:
    """Return the workspace's lists, newest first, one more than the page holds."""
    return await repository.list_lists(session, workspace_id, page)


async def change_count(session: AsyncSession, workspace_id: UUID, list_id: UUID, delta: int) -> None:
    """Keep a list's count true; to be called in the transaction that puts leads in or takes them out, after it did."""
    if delta:
        await repository.change_count(session, workspace_id, list_id, delta)


async def create_lead(session: AsyncSession, workspace_id: UUID, values: dict[str, Any]) -> Lead:
    """Make a lead; raises AlreadyExists for an address that is a lead already, and NotFound for an unknown list."""
    email = normalise_address(values["email"])
    if values["list_id"] is not None:
        await get_list(session, workspace_id, values["list_id"])
    lead = await repository.add_lead(session, workspace_id, **values | {"email": email})
    if lead is None:
        raise _already_a_lead(email)
    if lead.list_id is not None:
        await change_count(session, workspace_id, lead.list_id, 1)
    return lead


async def get_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Lead:
    """Return a lead; raises NotFound."""
    lead = await repository.find_lead(session, workspace_id, lead_id)
    if lead is None:
        raise NotFound("There is no such lead.")
    return lead


async def list_leads(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    status: LeadStatus | None = None,
    segment: LeadSegment | None = None,
    list_id: UUID | None = None,
    text: str | None = None,
    updated_since: datetime | None = None,
) -> Sequence[Lead]:
    """Return the workspace's leads, newest first, one more than the page holds."""
    return await repository.list_leads(
        session,
        workspace_id,
        page,
        status=status,
        segment=segment,
        list_id=list_id,
        text=text,
        updated_since=updated_since,
    )


async def change_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID, values: dict[str, Any]) -> Lead:
    """Change a lead; what is left out of `values` stays. Raises NotFound, and AlreadyExists for a taken address."""
    lead = await repository.hold_lead(session, workspace_id, lead_id)
    if lead is None:
        raise NotFound("There is no such lead.")
    if not values:
        return lead
    came_from, goes_to = lead.list_id, values.get("list_id", lead.list_id)
    if goes_to is not None and goes_to != came_from:
        await get_list(session, workspace_id, goes_to)
    columns = {name: value for name, value in values.items() if name != "custom_fields"}
    if "email" in columns:
        columns["email"] = normalise_address(columns["email"])
    try:
        changed = await repository.change_lead(
            session, workspace_id, lead_id, columns, values.get("custom_fields") or {}
        )
    except IntegrityError as error:
        if ADDRESS_INDEX not in str(error.orig):
            raise
        raise _already_a_lead(columns["email"]) from error
    if goes_to != came_from:
        deltas = ((one, delta) for one, delta in ((came_from, -1), (goes_to, 1)) if one is not None)
        # In one order everywhere, so that two that move leads between the same lists wait for each other and go on.
        for list_id, delta in sorted(deltas):
            await change_count(session, workspace_id, list_id, delta)
    return changed


async def delete_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> None:
    """Delete a lead, so that it can be had back; its address is free again. Raises NotFound."""
    lead = await repository.delete_lead(session, workspace_id, lead_id)
    if lead is None:
        raise NotFound("There is no such lead.")
    if lead.list_id is not None:
        await change_count(session, workspace_id, lead.list_id, -1)


async def move(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], event: LeadEvent, *, cause: str, now: datetime
) -> list[UUID]:
    """Move the status of those leads for which `event` is legal, write their history, and return their ids."""
    return await repository.move(session, workspace_id, lead_ids, event, cause=cause, now=now)


async def qualify(session: AsyncSession, workspace_id: UUID, lead_id: UUID, *, cause: str, now: datetime) -> Lead:
    """Take a lead that replied for qualified; raises NotFound, and InvalidTransition from another status."""
    lead = await repository.hold_lead(session, workspace_id, lead_id)
    if lead is None:
        raise NotFound("There is no such lead.")
    next_status(LeadStatus(lead.status), LeadEvent.QUALIFIED)
    await move(session, workspace_id, [lead_id], LeadEvent.QUALIFIED, cause=cause, now=now)
    await session.refresh(lead)
    return lead


async def unsubscribe(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], *, cause: str, now: datetime
) -> list[UUID]:
    """Take a no: the leads' addresses are suppressed and the leads unsubscribed; returns those who were not before.

    What their enrollments still had to do is for `enrollments.service.unsubscribe_leads`, which calls this.
    """
    reason = SuppressionReason.UNSUBSCRIBED
    await suppressions.suppress_leads(session, workspace_id, lead_ids, reason=reason, source=cause, at=now)
    return await move(session, workspace_id, lead_ids, LeadEvent.UNSUBSCRIBED, cause=cause, now=now)


def _already_a_lead(email: str) -> AlreadyExists:
    return AlreadyExists(f"The workspace has a lead with the address {email} already.")
