"""Leads: their addresses are unique, the counts of their lists are exact, and their status follows the rules."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import AlreadyExists, Conflict, FieldProblem, or_404
from api.outreach.enrollment_status import service as enrollment_status
from api.people.lead_lists import service as lists
from api.people.leads import repository
from api.people.leads.merging import FIELDS, MAX_CUSTOM_FIELDS, RowStatus, Values, merge_rows
from api.people.leads.schemas import BulkRow, LeadDetail, LeadOut
from api.people.suppressions import service as suppressions
from database import jobs
from database.models import DuplicatePolicy, Lead
from domain.clock import Clock
from domain.enrollment import EnrollmentEvent
from domain.job_types import STOP_LEADS
from domain.lead import LeadEvent, LeadStatus, next_status
from domain.suppression import (
    RECIPIENT_REASONS,
    SuppressionReason,
    SuppressionScope,
    default_scope,
    derive_person_key,
    normalise_address,
)

ADDRESS_INDEX = "uq_leads_workspace_id_email"
NO_SUCH_LEAD = "There is no such lead."
TOO_MANY_FIELDS = f"A lead has at most {MAX_CUSTOM_FIELDS} custom fields."


async def create_lead(session: AsyncSession, workspace_id: UUID, values: Mapping[str, Any]) -> Lead:
    """Create a lead; raises AlreadyExists for the address of another lead, and NotFound for an unknown list."""
    email = normalise_address(values["email"])
    await lists.require_list(session, workspace_id, values["list_id"])
    lead = await repository.add_lead(session, workspace_id, **{**values, "email": email})
    if lead is None:
        raise _address_exists(email)
    await _change_counts(session, workspace_id, None, lead.list_id)
    return lead


async def get_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Lead:
    """Return a lead; raises NotFound."""
    return or_404(await repository.find_lead(session, workspace_id, lead_id), NO_SUCH_LEAD)


async def lock_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID, *, joins: UUID | None = None) -> Lead:
    """Return a lead, locked until the transaction ends; raises NotFound, also for the list `joins`."""
    await lists.require_list(session, workspace_id, joins)
    return or_404(await repository.find_lead(session, workspace_id, lead_id, lock=True), NO_SUCH_LEAD)


async def lock_lead_or_deleted(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Lead:
    """Return a lead, deleted or not, locked until the transaction ends; raises NotFound."""
    lead = await repository.find_lead(session, workspace_id, lead_id, lock=True, deleted=True)
    return or_404(lead, NO_SUCH_LEAD)


async def build_detail(session: AsyncSession, lead: Lead) -> LeadDetail:
    """Return the detail of a lead, with whether its address is suppressed."""
    suppressed = await suppressions.is_suppressed(session, lead.workspace_id, lead.email)
    return LeadDetail(**LeadOut.of(lead).model_dump(), suppressed=suppressed)


async def change_lead(session: AsyncSession, locked: Lead, values: Mapping[str, Any]) -> Lead:
    """Change a locked lead; fields that are not in `values` stay unchanged, and a custom field of null is removed.

    Raises AlreadyExists for the address of another lead, and Conflict for too many custom fields.
    """
    if not values:
        return locked
    columns, list_before = dict(values), locked.list_id
    if "email" in columns:
        columns["email"] = normalise_address(columns["email"])
    if "custom_fields" in columns:
        merged = {**locked.custom_fields, **columns["custom_fields"]}
        columns["custom_fields"] = {name: value for name, value in merged.items() if value is not None}
        if len(columns["custom_fields"]) > MAX_CUSTOM_FIELDS:
            raise Conflict(f"{TOO_MANY_FIELDS} Remove some by setting them to null.")
    changed = await _change(session, locked, columns, email=columns.get("email", ""))
    await _change_counts(session, locked.workspace_id, list_before, changed.list_id)
    return changed


async def delete_lead(session: AsyncSession, lead: Lead, *, now: datetime) -> None:
    """Delete a locked lead until it is restored; its address is free again, and its live enrollments pause.

    Restoring the lead does not resume them: a user does.
    """
    await repository.delete_lead(session, lead)
    await _change_counts(session, lead.workspace_id, lead.list_id, None)
    event, cause = EnrollmentEvent.PAUSED, "the lead was deleted"
    await enrollment_status.apply_event_to_leads(session, lead.workspace_id, event, [lead.id], cause=cause, now=now)


async def restore_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Lead:
    """Restore a deleted lead, in its list if that still exists; a lead that is not deleted does not change.

    Raises NotFound, Conflict if it is erased, and AlreadyExists if another lead has its address.
    """
    lead = or_404(await repository.find_lead(session, workspace_id, lead_id, deleted=True), NO_SUCH_LEAD)
    lists_found = await lists.lock_shared(session, workspace_id, [lead.list_id] if lead.list_id else [])
    locked = await lock_lead_or_deleted(session, workspace_id, lead_id)
    if locked.erased_at is not None:
        raise Conflict("This lead was erased and cannot be restored.")
    if locked.deleted_at is None:
        return locked
    list_id = locked.list_id if locked.list_id in lists_found else None
    restored = await _change(session, locked, {"deleted_at": None, "list_id": list_id}, email=locked.email)
    await _change_counts(session, workspace_id, None, list_id)
    return restored


async def erase_lead(session: AsyncSession, locked: Lead, now: datetime) -> None:
    """Erase the personal data in the row of a locked lead and delete the lead; its status stays for statistics.

    `erasure.service` calls this; it erases other tables and suppresses the address.
    """
    list_before = locked.list_id if locked.deleted_at is None else None
    texts = dict.fromkeys(("email", "first_name", "last_name", "company", "role"), "")
    others: dict[str, Any] = {"timezone": None, "custom_fields": {}, "list_id": None, "erased_at": now}
    await repository.change_lead(session, locked, {**texts, **others, "deleted_at": locked.deleted_at or now})
    await _change_counts(session, locked.workspace_id, list_before, None)


async def add_leads(
    session: AsyncSession, workspace_id: UUID, rows: Mapping[int, Values], policy: DuplicatePolicy
) -> list[BulkRow]:
    """Create leads, or apply rows to the leads that have their addresses; returns the result of each row.

    The number of statements does not depend on the number of rows.
    """
    given = {index: {**row, "email": normalise_address(row["email"])} for index, row in rows.items()}
    list_ids = {row["list_id"] for row in given.values() if row["list_id"]}
    lists_found = await lists.lock_shared(session, workspace_id, list_ids)
    invalid = {index for index, row in given.items() if row["list_id"] and row["list_id"] not in lists_found}
    results = [_invalid(index, "listId", lists.NO_SUCH_LIST) for index in invalid]
    remaining = {index: row for index, row in given.items() if index not in invalid}
    deltas: Counter[UUID] = Counter()
    while remaining:
        applied, conflicts = await _apply_rows(session, workspace_id, remaining, policy, deltas)
        results += applied
        # Another transaction has inserted these addresses: apply the rows to its leads.
        remaining = {index: row for index, row in remaining.items() if row["email"] in conflicts}
    await lists.change_counts(session, workspace_id, deltas)
    return results


async def _apply_rows(
    session: AsyncSession,
    workspace_id: UUID,
    rows: Mapping[int, Values],
    policy: DuplicatePolicy,
    deltas: Counter[UUID],
) -> tuple[list[BulkRow], set[str]]:
    """Apply rows and add to `deltas` of lists; returns results, and addresses that another transaction has inserted."""
    emails = sorted({row["email"] for row in rows.values()})
    leads = await repository.find_by_address(session, workspace_id, emails, lock=policy is not DuplicatePolicy.SKIP)
    stored = {email: _values_of(lead) for email, lead in leads.items()}
    merged = merge_rows(rows.items(), stored, policy)
    added = await repository.add_leads(session, workspace_id, list(merged.new.values()))
    changed = [{**values, "id": leads[email].id} for email, values in merged.changed.items()]
    await repository.change_leads(session, workspace_id, changed)
    deltas.update(values["list_id"] for email, values in merged.new.items() if email in added and values["list_id"])
    for email, values in merged.changed.items():
        deltas.update({values["list_id"]: 1} if values["list_id"] else {})
        deltas.subtract({stored[email]["list_id"]: 1} if stored[email]["list_id"] else {})
    conflicts = set(merged.new) - set(added)
    ids = {**{email: lead.id for email, lead in leads.items()}, **added}
    applied = [
        _invalid(index, "customFields", TOO_MANY_FIELDS)
        if merged.statuses[index] is RowStatus.INVALID
        else BulkRow(index=index, status=merged.statuses[index], lead_id=ids[row["email"]], errors=[])
        for index, row in rows.items()
        if row["email"] not in conflicts
    ]
    return applied, conflicts


def _values_of(lead: Lead) -> Values:
    return {name: getattr(lead, name) for name in ("email", *FIELDS, "custom_fields")}


def _invalid(index: int, field: str, message: str) -> BulkRow:
    problem = FieldProblem(location=[field], message=message)
    return BulkRow(index=index, status=RowStatus.INVALID, lead_id=None, errors=[problem])


async def apply_event(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], event: LeadEvent, *, cause: str, now: datetime
) -> list[UUID]:
    """Apply an event to the leads whose status allows it, with their history, and return their ids."""
    return await repository.apply_event(session, workspace_id, lead_ids, event, cause=cause, now=now)


async def qualify_lead(session: AsyncSession, workspace_id: UUID, lead_id: UUID, *, cause: str, now: datetime) -> Lead:
    """Mark a lead that replied as qualified; raises NotFound, and InvalidTransition from another status."""
    lead = await lock_lead(session, workspace_id, lead_id)
    next_status(LeadStatus(lead.status), LeadEvent.QUALIFIED)
    await apply_event(session, workspace_id, [lead_id], LeadEvent.QUALIFIED, cause=cause, now=now)
    await session.refresh(lead)
    return lead


async def unsubscribe_leads(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], *, cause: str, now: datetime
) -> None:
    """Unsubscribe leads permanently: their addresses are suppressed, and nothing more is sent to the same persons."""
    if not lead_ids:
        return
    reason = SuppressionReason.UNSUBSCRIBED
    await suppressions.suppress_leads(session, workspace_id, lead_ids, reason=reason, source=cause, at=now)
    addresses = await repository.list_addresses(session, workspace_id, lead_ids)
    await stop_holders(session, workspace_id, addresses, lead_ids, reason=reason, cause=cause, now=now)


async def stop_holders(
    session: AsyncSession,
    workspace_id: UUID,
    addresses: Collection[str],
    lead_ids: Collection[UUID],
    *,
    reason: SuppressionReason,
    cause: str,
    now: datetime,
) -> None:
    """Stop these leads and those that have one of the suppressed addresses, in any spelling, in the whole account.

    Leads of other workspaces are stopped by a job of their own workspace; they are not mailed meanwhile, because their
    addresses are suppressed.
    """
    holders = await list_holders(session, addresses)
    stopped = sorted({*lead_ids, *(lead_id for held in holders.values() for lead_id in held)})
    await _stop_leads(session, workspace_id, stopped, reason=reason, cause=cause, now=now)
    if default_scope(reason) is SuppressionScope.ACCOUNT and addresses:
        keys = _list_person_keys(addresses)
        await jobs.enqueue_stops(session, STOP_LEADS, keys, reason=reason, cause=cause, due=now)


async def stop_suppressed_leads(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    reason: SuppressionReason,
    cause: str,
    now: datetime,
) -> None:
    """Stop those of the leads whose addresses are suppressed: a suppression may have been removed since."""
    suppressed = await repository.list_suppressed(session, workspace_id, lead_ids)
    await _stop_leads(session, workspace_id, suppressed, reason=reason, cause=cause, now=now)


async def _stop_leads(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    reason: SuppressionReason,
    cause: str,
    now: datetime,
) -> None:
    """Unsubscribe leads for a reason of the recipient; a hard bounce stops only their enrollments."""
    event = EnrollmentEvent.HARD_BOUNCED
    if reason in RECIPIENT_REASONS:
        await apply_event(session, workspace_id, lead_ids, LeadEvent.UNSUBSCRIBED, cause=cause, now=now)
        event = EnrollmentEvent.UNSUBSCRIBED
    await enrollment_status.apply_event_to_leads(session, workspace_id, event, lead_ids, cause=cause, now=now)


async def list_holders(session: AsyncSession, addresses: Collection[str]) -> dict[str, list[UUID]]:
    """Return by person key the workspace's leads that have one of these addresses, in any spelling, deleted or not."""
    holders: dict[str, list[UUID]] = {}
    for key, lead_id in await repository.list_holders(session, _list_person_keys(addresses)):
        holders.setdefault(key, []).append(lead_id)
    return holders


def _list_person_keys(addresses: Collection[str]) -> list[str]:
    return sorted({derive_person_key(address) for address in addresses if address})


async def unsubscribe_lead(
    session: AsyncSession, workspace_id: UUID, lead_id: UUID, *, cause: str, now: datetime
) -> Lead:
    """Unsubscribe one lead permanently and return it; raises NotFound."""
    lead = await get_lead(session, workspace_id, lead_id)
    await unsubscribe_leads(session, workspace_id, [lead_id], cause=cause, now=now)
    await session.refresh(lead)
    return lead


async def list_timeline(
    session: AsyncSession,
    workspace_id: UUID,
    lead_id: UUID,
    *,
    clock: Clock,
    before: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return the events of a lead before the time and id of an item, newest first; raises NotFound."""
    await get_lead(session, workspace_id, lead_id)
    return await repository.list_timeline(session, workspace_id, lead_id, clock=clock, before=before, limit=limit)


async def _change(session: AsyncSession, locked: Lead, columns: Mapping[str, Any], *, email: str) -> Lead:
    try:
        return await repository.change_lead(session, locked, columns)
    except IntegrityError as error:
        if ADDRESS_INDEX not in str(error.orig):
            raise
        raise _address_exists(email) from error


async def _change_counts(session: AsyncSession, workspace_id: UUID, before: UUID | None, after: UUID | None) -> None:
    deltas = Counter([after] if after else [])
    deltas.subtract([before] if before else [])
    await lists.change_counts(session, workspace_id, deltas)


def _address_exists(email: str) -> AlreadyExists:
    return AlreadyExists(f"The workspace already has a lead with the address {email}.")
