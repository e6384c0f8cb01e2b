"""The SQL of leads, and of the recipients of mails."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, and_, any_, case, cast, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest
from api.people.leads.schemas import LeadFilter
from database.conditions import id_in, is_suppressed
from database.direct import Record, fetch
from database.models import EmailDraft, Lead, LeadEventRecord, ReleasedClaim, SendAttempt, Workspace
from database.sql_files import load_statement
from domain.clock import Clock
from domain.lead import LeadEvent, next_status, source_statuses

_ROWS = """
    jsonb_to_recordset(CAST(:rows AS jsonb)) AS row
      (id uuid, email text, first_name text, last_name text, company text, role text, segment text, timezone text,
       list_id uuid, custom_fields jsonb)
"""

_ADD_ALL = text(
    f"""
    INSERT INTO app.leads (workspace_id, email, first_name, last_name, company, role, segment, timezone, list_id,
                           custom_fields)
    SELECT :workspace_id, email, first_name, last_name, company, role, segment, timezone, list_id, custom_fields
      FROM {_ROWS}
     -- Lock in id order to avoid deadlocks (database/locks.py).
     ORDER BY email
    ON CONFLICT (workspace_id, email) WHERE deleted_at IS NULL DO NOTHING
    RETURNING email, id
    """  # noqa: S608 - constant text
)

_CHANGE_ALL = text(
    f"""
    UPDATE app.leads AS lead
       SET first_name = row.first_name, last_name = row.last_name, company = row.company, role = row.role,
           segment = row.segment, timezone = row.timezone, list_id = row.list_id, custom_fields = row.custom_fields
      FROM {_ROWS}
     WHERE lead.id = row.id AND lead.workspace_id = :workspace_id
    """  # noqa: S608 - constant text
)

_HOLDERS = text("SELECT person_key, lead_id FROM app.list_holders(CAST(:person_keys AS text[]))")

_TIMELINE = text(load_statement(__file__, "list_timeline"))


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who a mail was sent to: the canonical address that was mailed, or only its hash after erasure."""

    draft_id: UUID
    lead_id: UUID
    address: str | None
    address_hash: str | None
    sender: str
    """The name that the workspace sends with."""


async def add_lead(session: AsyncSession, workspace_id: UUID, **values: Any) -> Lead | None:
    """Insert a lead, or return None if the workspace has a live lead with this address."""
    statement = (
        insert(Lead)
        .values(workspace_id=workspace_id, **values)
        .on_conflict_do_nothing(index_elements=[Lead.workspace_id, Lead.email], index_where=Lead.deleted_at.is_(None))
        .returning(Lead)
    )
    return await session.scalar(statement)


async def find_lead(
    session: AsyncSession, workspace_id: UUID, lead_id: UUID, *, lock: bool = False, deleted: bool = False
) -> Lead | None:
    """Return a lead; with `lock`, as it is now and locked until the transaction ends.

    A deleted lead is returned only with `deleted`.
    """
    statement = select(Lead).where(Lead.workspace_id == workspace_id, Lead.id == lead_id)
    if not deleted:
        statement = statement.where(Lead.deleted_at.is_(None))
    if lock:
        statement = statement.with_for_update(key_share=True)
    return await session.scalar(statement, execution_options={"populate_existing": True})


# The fields of LeadOut. Plain SQL, because this is the most frequent and the longest list.
_LIST = """
    SELECT id, email, first_name, last_name, company, role, segment, status, timezone, list_id, custom_fields,
           last_activity_at, created_at, updated_at
      FROM app.leads
     WHERE workspace_id = %s AND deleted_at IS NULL
"""
_FILTERS = {
    "status": "status = %s",
    "segment": "segment = %s",
    "list_id": "list_id = %s",
    "updated_since": "updated_at >= %s",
    "q": "concat_ws(chr(10), first_name || ' ' || last_name, email, company, role) ILIKE %s",
}
_PATTERN, _ESCAPED = re.compile(r"([\\%_])"), r"\\\1"


async def list_leads(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, filters: LeadFilter
) -> Sequence[Record]:
    """Return the fields of LeadOut of the workspace's leads, in the page's order, one more than the page holds."""
    given = {name: value for name in _FILTERS if (value := getattr(filters, name)) not in {None, ""}}
    if filters.q:
        given["q"] = f"%{_PATTERN.sub(_ESCAPED, filters.q)}%"
    conditions = [_FILTERS[name] for name in given]
    if "q" in given and " " in given["q"]:
        # In a query string an unescaped plus is read as a blank, and an address has no blanks.
        conditions[-1] = f"({conditions[-1]} OR email ILIKE %s)"
        given["q_plus"] = given["q"].replace(" ", "+")
    if page.after is not None:
        row, after = ", ".join(page.columns), ", ".join("%s" for _ in page.columns)
        conditions.append(f"({row}) {'<' if page.is_descending else '>'} ({after})")
    order = ", ".join(f"{column} {'DESC' if page.is_descending else 'ASC'}" for column in page.columns)
    statement = " AND ".join([_LIST, *conditions]) + f" ORDER BY {order} LIMIT %s"
    return await fetch(session, statement, [workspace_id, *given.values(), *(page.after or ()), page.limit + 1])


async def change_lead(session: AsyncSession, locked: Lead, values: Mapping[str, Any]) -> Lead:
    """Update a locked lead; an address that another live lead has raises IntegrityError."""
    statement = (
        update(Lead)
        .where(Lead.workspace_id == locked.workspace_id, Lead.id == locked.id)
        .values(**values)
        .returning(Lead)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return (await session.scalars(statement)).one()


async def delete_lead(session: AsyncSession, locked: Lead) -> None:
    """Mark a locked lead as deleted."""
    await change_lead(session, locked, {"deleted_at": func.now()})


async def find_by_address(
    session: AsyncSession, workspace_id: UUID, emails: Sequence[str], *, lock: bool
) -> dict[str, Lead]:
    """Return the live leads that have one of these addresses; with `lock`, locked until the transaction ends."""
    statement = (
        select(Lead)
        .where(Lead.workspace_id == workspace_id, Lead.email == any_(cast(list(emails), ARRAY(Text))))
        .where(Lead.deleted_at.is_(None))
        .order_by(Lead.id)
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    found = await session.scalars(statement, execution_options={"populate_existing": True})
    return {lead.email: lead for lead in found.all()}


async def add_leads(session: AsyncSession, workspace_id: UUID, rows: Sequence[Mapping[str, Any]]) -> dict[str, UUID]:
    """Insert leads, except those whose addresses live leads have; returns the ids of the new leads by address."""
    if not rows:
        return {}
    added = await session.execute(_ADD_ALL, {"workspace_id": workspace_id, "rows": json.dumps(rows, default=str)})
    ids: dict[str, UUID] = dict(added.all())
    return ids


async def change_leads(session: AsyncSession, workspace_id: UUID, rows: Sequence[Mapping[str, Any]]) -> None:
    """Update locked leads; each row has the id of a lead and all its values."""
    if rows:
        await session.execute(_CHANGE_ALL, {"workspace_id": workspace_id, "rows": json.dumps(rows, default=str)})


async def apply_event(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], event: LeadEvent, *, cause: str, now: datetime
) -> list[UUID]:
    """Apply an event to the leads whose status allows it, and write their history, in one statement.

    Returns the ids of the changed leads. Waits for a lead that another transaction is changing, and then uses its new
    status.
    """
    sources = sorted(source_statuses(event))
    before = (
        select(Lead.id, Lead.status)
        .where(
            Lead.workspace_id == workspace_id,
            Lead.id == any_(cast(list(lead_ids), ARRAY(PG_UUID))),
            Lead.status.in_(sources),
        )
        # Lock in id order to avoid deadlocks (database/locks.py).
        .order_by(Lead.id)
        .with_for_update(key_share=True)
        .cte("before")
    )
    target = case({status.value: next_status(status, event).value for status in sources}, value=before.c.status)
    moved = (
        update(Lead)
        .where(Lead.id == before.c.id)
        .values(status=target, last_activity_at=func.greatest(Lead.last_activity_at, now))
        .returning(Lead.id, before.c.status.label("from_status"), Lead.status.label("to_status"))
        .cte("moved")
    )
    names = ["workspace_id", "lead_id", "from_status", "to_status", "event", "cause", "occurred_at"]
    history = insert(LeadEventRecord).from_select(
        names,
        select(
            literal(workspace_id),
            moved.c.id,
            moved.c.from_status,
            moved.c.to_status,
            literal(event.value),
            literal(cause),
            literal(now),
        ),
    )
    return list((await session.scalars(history.returning(LeadEventRecord.lead_id))).all())


async def list_addresses(session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID]) -> set[str]:
    """Return the addresses of leads, deleted or not."""
    return set(
        await session.scalars(select(Lead.email).where(Lead.workspace_id == workspace_id, Lead.id == id_in(lead_ids)))
    )


async def list_holders(session: AsyncSession, person_keys: Sequence[str]) -> list[tuple[str, UUID]]:
    """Return (person key, lead) of the workspace's leads that have an address of these persons, deleted or not."""
    holders = await session.execute(_HOLDERS, {"person_keys": list(person_keys)})
    return [(row.person_key, row.lead_id) for row in holders]


async def list_suppressed(session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of the leads that have a suppressed address."""
    statement = select(Lead.id).where(
        Lead.workspace_id == workspace_id, Lead.id == id_in(lead_ids), is_suppressed(workspace_id, Lead.email)
    )
    return list(await session.scalars(statement.order_by(Lead.id)))


async def list_timeline(
    session: AsyncSession,
    workspace_id: UUID,
    lead_id: UUID,
    *,
    clock: Clock,
    before: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Return the events of a lead before the time and id of an item, newest first."""
    before_at, before_id = before or (None, None)
    parameters = {
        "workspace_id": workspace_id,
        "lead_id": lead_id,
        "real_start": datetime.fromtimestamp(clock.real_start, UTC),
        "ahead_seconds": clock.virtual_start.timestamp() - clock.real_start,
        "more_speed": clock.speed - 1,
        "before_at": before_at,
        "before_id": before_id,
        "limit": limit,
    }
    return (await session.execute(_TIMELINE, parameters)).all()


async def find_recipients(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]) -> list[Recipient]:
    """Return the recipients of mails; before a mail is sent, its recipient has the lead's address of now.

    A mail whose claim was released may have been sent: its recipient is the one of the claim.
    """
    # An attempt that was found out later, or made before recipients were stored, has neither address nor hash.
    current = func.nullif(Lead.email, "")
    statement = (
        select(
            EmailDraft.id,
            EmailDraft.lead_id,
            func.coalesce(SendAttempt.recipient, ReleasedClaim.recipient, current).label("address"),
            func.coalesce(SendAttempt.recipient_hash, ReleasedClaim.recipient_hash),
            Workspace.default_from_name,
        )
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .join(Workspace, Workspace.id == EmailDraft.workspace_id)
        .outerjoin(SendAttempt, SendAttempt.draft_id == EmailDraft.id)
        .outerjoin(ReleasedClaim, and_(ReleasedClaim.draft_id == EmailDraft.id, SendAttempt.id.is_(None)))
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == id_in(draft_ids))
        .order_by(EmailDraft.id)
    )
    return [
        Recipient(draft_id, lead_id, None if address_hash else address, address_hash, sender)
        for draft_id, lead_id, address, address_hash, sender in await session.execute(statement)
    ]


async def list_mailed(session: AsyncSession, workspace_id: UUID, addresses: Sequence[str]) -> set[str]:
    """Return those of the addresses that a mail was sent to."""
    statement = select(SendAttempt.recipient).where(
        SendAttempt.workspace_id == workspace_id, SendAttempt.recipient == any_(cast(list(addresses), ARRAY(Text)))
    )
    return set(filter(None, await session.scalars(statement)))
