"""The people to write to: keeping their addresses unique, their lists counted, and their status lawful."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import AlreadyExists, Conflict, FieldProblem, NotFound
from api.outreach.enrollment_status import service as enrollment_status
from api.people.lead_lists import service as lists
from api.people.leads import repository
from api.people.leads.merging import FIELDS, MAX_CUSTOM_FIELDS, RowStatus, Values, merge_rows
from api.people.leads.schemas import BulkRow, LeadDetail, LeadOut
from api.people.suppressions import service as suppressions
from database.models import DuplicatePolicy, Lead
from domain.enrollment import EnrollmentEvent
from domain.lead import LeadEvent, LeadStatus, next_status
from domain.suppression import SuppressionReason, normalise_address

ADDRESS_INDEX = "uq_leads_workspace_id_email"
TOO_MANY_FIELDS = f"A lead has at most {MAX_CUSTOM_FIELDS} custom fields."


async def create_lead(session: AsyncSession, workspace_id: UUID, values: Mapping[str, Any]) -> Lead:
    """Make a lead; raises AlreadyExists for an address that is a lead already, and NotFound for an unknown list."""
    email = normalise_address(values["email"])
    await lists.require_list(session, workspace_id, values["list_id"])
    lead = await repository.add_lead(session, workspace_id, **{**values, "email": email})
    if lead is None:
        raise _already_a_lead(email)
    await _recount(session, workspace_id, None, lead.list_id)
    return lead


async def get_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Lead:
    """Return a lead; raises NotFound."""
    return _there(await repository.find_lead(session, workspace_id, lead_id))


async def lock_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID, *, joins: UUID | None = None) -> Lead:
    """Return a lead, held until the transaction ends; raises NotFound, also for the list that it is to join."""
    await lists.require_list(session, workspace_id, joins)
    return _there(await repository.find_lead(session, workspace_id, lead_id, lock=True))


async def lock_lead_or_deleted(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Lead:
    """Return a lead, deleted or not, held until the transaction ends; raises NotFound."""
    return _there(await repository.find_lead(session, workspace_id, lead_id, lock=True, deleted=True))


async def build_detail(session: AsyncSession, lead: Lead) -> LeadDetail:
    """Return a lead as it is shown alone: with whether it may be mailed at all."""
    suppressed = await suppressions.is_suppressed(session, lead.workspace_id, lead.email)
    return LeadDetail(**LeadOut.of(lead).model_dump(), suppressed=suppressed)


async def change_lead(session: AsyncSession, held: Lead, values: Mapping[str, Any]) -> Lead:
    """Change a lead that is held; what is left out of `values` stays, and a custom field of null is taken away.

    Raises AlreadyExists for a taken address, and Conflict for too many custom fields.
    """
    if not values:
        return held
    columns, came_from = dict(values), held.list_id
    if "email" in columns:
        columns["email"] = normalise_address(columns["email"])
    if "custom_fields" in columns:
        laid_over = {**held.custom_fields, **columns["custom_fields"]}
        columns["custom_fields"] = {name: value for name, value in laid_over.items() if value is not None}
        if len(columns["custom_fields"]) > MAX_CUSTOM_FIELDS:
            raise Conflict(f"{TOO_MANY_FIELDS} Remove some by setting them to null.")
    changed = await _change(session, held, columns, email=columns.get("email", ""))
    await _recount(session, held.workspace_id, came_from, changed.list_id)
    return changed


async def delete_lead(session: AsyncSession, lead: Lead, *, now: datetime) -> None:
    """Delete a locked lead until it is restored; its address is free again, and its live enrollments pause.

    Restoring the lead does not resume them: a user does.
    """
    await repository.delete_lead(session, lead)
    await _recount(session, lead.workspace_id, lead.list_id, None)
    event, cause = EnrollmentEvent.PAUSED, "the lead was deleted"
    await enrollment_status.apply_event_to_leads(session, lead.workspace_id, event, [lead.id], cause=cause, now=now)


async def restore_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Lead:
    """Have a deleted lead back, in its list while that is there; one that is not deleted stays as it is.

    Raises NotFound, Conflict once it is erased, and AlreadyExists when its address is another lead's by now.
    """
    found = _there(await repository.find_lead(session, workspace_id, lead_id, deleted=True))
    kept = await lists.lock_shared(session, workspace_id, [found.list_id] if found.list_id else [])
    held = await lock_lead_or_deleted(session, workspace_id, lead_id)
    if held.erased_at is not None:
        raise Conflict("This lead was erased and cannot be restored.")
    if held.deleted_at is None:
        return held
    list_id = held.list_id if held.list_id in kept else None
    restored = await _change(session, held, {"deleted_at": None, "list_id": list_id}, email=held.email)
    await _recount(session, workspace_id, None, list_id)
    return restored


async def erase_lead(session: AsyncSession, held: Lead, now: datetime) -> None:
    """Take away all that a held lead's own row says of the person; it is deleted, and its status stays to be counted.

    What other tables say, and that its address is never mailed again, is for `erasure.service`, which calls this.
    """
    counted_in = held.list_id if held.deleted_at is None else None
    nobody = dict.fromkeys(("email", "first_name", "last_name", "company", "role"), "")
    gone: dict[str, Any] = {"timezone": None, "custom_fields": {}, "list_id": None, "erased_at": now}
    await repository.change_lead(session, held, {**nobody, **gone, "deleted_at": held.deleted_at or now})
    await _recount(session, held.workspace_id, counted_in, None)


async def add_leads(
    session: AsyncSession, workspace_id: UUID, rows: Mapping[int, Values], policy: DuplicatePolicy
) -> list[BulkRow]:
    """Add leads, or apply them to those that have their addresses already; returns what became of each row.

    The statements are as many for a thousand rows as for one.
    """
    given = {index: {**row, "email": normalise_address(row["email"])} for index, row in rows.items()}
    kept = await lists.lock_shared(session, workspace_id, {row["list_id"] for row in given.values() if row["list_id"]})
    strays = [index for index, row in given.items() if row["list_id"] and row["list_id"] not in kept]
    results = [_invalid(index, "listId", lists.NO_SUCH_LIST) for index in strays]
    waiting = {index: row for index, row in given.items() if index not in set(strays)}
    moves: Counter[UUID] = Counter()
    while waiting:
        settled, taken = await _settle(session, workspace_id, waiting, policy, moves)
        results += settled
        # Somebody else was quicker with these addresses: they are leads now, and are met as such.
        waiting = {index: row for index, row in waiting.items() if row["email"] in taken}
    await lists.change_counts(session, workspace_id, moves)
    return results


async def _settle(
    session: AsyncSession,
    workspace_id: UUID,
    rows: Mapping[int, Values],
    policy: DuplicatePolicy,
    moves: Counter[UUID],
) -> tuple[list[BulkRow], set[str]]:
    """Apply rows; returns what became of them, and the addresses that somebody else took meanwhile."""
    emails = sorted({row["email"] for row in rows.values()})
    leads = await repository.find_by_address(session, workspace_id, emails, lock=policy is not DuplicatePolicy.SKIP)
    held = {email: _values_of(lead) for email, lead in leads.items()}
    folded = merge_rows(rows.items(), held, policy)
    added = await repository.add_leads(session, workspace_id, list(folded.new.values()))
    changed = [{**values, "id": leads[email].id} for email, values in folded.changed.items()]
    await repository.change_leads(session, workspace_id, changed)
    moves.update(values["list_id"] for email, values in folded.new.items() if email in added and values["list_id"])
    for email, values in folded.changed.items():
        moves.update({values["list_id"]: 1} if values["list_id"] else {})
        moves.subtract({held[email]["list_id"]: 1} if held[email]["list_id"] else {})
    taken = set(folded.new) - set(added)
    ids = {**{email: lead.id for email, lead in leads.items()}, **added}
    settled = [
        _invalid(index, "customFields", TOO_MANY_FIELDS)
        if folded.statuses[index] is RowStatus.INVALID
        else BulkRow(index=index, status=folded.statuses[index], lead_id=ids[row["email"]], errors=[])
        for index, row in rows.items()
        if row["email"] not in taken
    ]
    return settled, taken


def _values_of(lead: Lead) -> Values:
    return {name: getattr(lead, name) for name in ("email", *FIELDS, "custom_fields")}


def _invalid(index: int, field: str, message: str) -> BulkRow:
    problem = FieldProblem(location=[field], message=message)
    return BulkRow(index=index, status=RowStatus.INVALID, lead_id=None, errors=[problem])


async def apply_event(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], event: LeadEvent, *, cause: str, now: datetime
) -> list[UUID]:
    """Move the status of those leads for which `event` is legal, write their history, and return their ids."""
    return await repository.apply_event(session, workspace_id, lead_ids, event, cause=cause, now=now)


async def qualify_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID, *, cause: str, now: datetime) -> Lead:
    """Take a lead that replied for qualified; raises NotFound, and InvalidTransition from another status."""
    lead = await lock_lead(session, workspace_id, lead_id)
    next_status(LeadStatus(lead.status), LeadEvent.QUALIFIED)
    await apply_event(session, workspace_id, [lead_id], LeadEvent.QUALIFIED, cause=cause, now=now)
    await session.refresh(lead)
    return lead


async def unsubscribe_leads(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], *, cause: str, now: datetime
) -> None:
    """Unsubscribe leads permanently: their addresses are suppressed, and nothing more is sent to them."""
    if not lead_ids:
        return
    reason = SuppressionReason.UNSUBSCRIBED
    await suppressions.suppress_leads(session, workspace_id, lead_ids, reason=reason, source=cause, at=now)
    await apply_event(session, workspace_id, lead_ids, LeadEvent.UNSUBSCRIBED, cause=cause, now=now)
    event = EnrollmentEvent.UNSUBSCRIBED
    await enrollment_status.apply_event_to_leads(session, workspace_id, event, lead_ids, cause=cause, now=now)


async def unsubscribe_lead(
    session: AsyncSession, workspace_id: UUID, lead_id: UUID, *, cause: str, now: datetime
) -> Lead:
    """Unsubscribe one lead permanently and return it; raises NotFound."""
    lead = await get_lead(session, workspace_id, lead_id)
    await unsubscribe_leads(session, workspace_id, [lead_id], cause=cause, now=now)
    await session.refresh(lead)
    return lead


async def _change(session: AsyncSession, held: Lead, columns: Mapping[str, Any], *, email: str) -> Lead:
    try:
        return await repository.change_lead(session, held, columns)
    except IntegrityError as error:
        if ADDRESS_INDEX not in str(error.orig):
            raise
        raise _already_a_lead(email) from error


async def _recount(session: AsyncSession, workspace_id: UUID, came_from: UUID | None, goes_to: UUID | None) -> None:
    deltas = Counter([goes_to] if goes_to else [])
    deltas.subtract([came_from] if came_from else [])
    await lists.change_counts(session, workspace_id, deltas)


def _there(lead: Lead | None) -> Lead:
    if lead is None:
        raise NotFound("There is no such lead.")
    return lead


def _already_a_lead(email: str) -> AlreadyExists:
    return AlreadyExists(f"The workspace has a lead with the address {email} already.")
