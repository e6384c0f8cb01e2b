"""The SQL of enrollments: one set-based statement enrolls any number of leads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import eq
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    exists,
    func,
    literal,
    null,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, build_filters, paged
from database.conditions import id_in, is_suppressed
from database.models import EmailDraft, Lead, LeadEnrollment, SequenceStep
from domain.draft import DraftStatus
from domain.enrollment import LIVE_STATUSES, EnrollmentStatus
from domain.lead import LeadStatus

# Enough memory to hash a few hundred thousand suppressions. With less, Postgres looks up the two hashes of each lead.
_RAISE_WORK_MEM = text("SELECT set_config('work_mem', '128MB', true)")


@dataclass(frozen=True, slots=True)
class LeadSelection:
    """The leads to enroll: by id, or all of a list."""

    lead_ids: Sequence[UUID] | None
    list_id: UUID | None

    def build_condition(self, workspace_id: UUID) -> ColumnElement[bool]:
        """Return the SQL condition that selects these leads."""
        is_selected = Lead.list_id == self.list_id if self.lead_ids is None else Lead.id == id_in(self.lead_ids)
        return and_(Lead.workspace_id == workspace_id, Lead.deleted_at.is_(None), is_selected)


async def raise_work_mem(session: AsyncSession) -> None:
    """Raise work_mem for this transaction, so that its statements sort and hash many rows in memory."""
    await session.execute(_RAISE_WORK_MEM)


async def lock_leads(session: AsyncSession, workspace_id: UUID, selection: LeadSelection, zone: str) -> list[str]:
    """Lock the selected leads in share mode; returns their time zones, `zone` for leads without one."""
    locked = (
        select(func.coalesce(Lead.timezone, zone).label("zone"))
        .where(selection.build_condition(workspace_id))
        .order_by(Lead.id)
        .with_for_update(read=True)
        .subquery("locked")
    )
    return list((await session.scalars(select(locked.c.zone).distinct())).all())


async def enroll_leads(
    session: AsyncSession,
    workspace_id: UUID,
    selection: LeadSelection,
    *,
    step: SequenceStep,
    send_ats: Mapping[str | None, datetime],
    now: datetime,
) -> dict[str | None, int]:
    """Enroll the selected leads that can be enrolled, each with a pending draft of `step`; returns counts.

    `send_ats` has the time of the step by zone, and under None for leads without a zone. The result counts the enrolled
    leads under "enrolled", the skipped leads by reason, and the leads without a reason to skip them under None.
    """
    candidates = _select_candidates(workspace_id, selection, step.sequence_id, send_ats)
    shared_values = (literal(workspace_id), literal(step.sequence_id), literal(step.step_order))
    eligible = (
        select(*shared_values, literal(now), candidates.c.id, candidates.c.send_at)
        .where(candidates.c.skipped.is_(None))
        # Lock in id order to avoid deadlocks (database/locks.py).
        .order_by(candidates.c.id)
    )
    enrolled = (
        insert(LeadEnrollment)
        .from_select(
            ["workspace_id", "sequence_id", "current_step_order", "enrolled_at", "lead_id", "next_run_at"], eligible
        )
        .on_conflict_do_nothing(
            index_elements=["lead_id", "sequence_id"], index_where=LeadEnrollment.status.in_(sorted(LIVE_STATUSES))
        )
        .returning(LeadEnrollment.id, LeadEnrollment.lead_id, LeadEnrollment.next_run_at)
        .cte("enrolled")
    )
    drafted = (
        insert(EmailDraft)
        .from_select(
            ["workspace_id", "sequence_id", "step_order", "step_id", "enrollment_id", "lead_id", "send_at"],
            select(*shared_values, literal(step.id), enrolled.c.id, enrolled.c.lead_id, enrolled.c.next_run_at),
        )
        .cte("drafted")
    )
    counts = union_all(
        select(literal("enrolled", Text), func.count()).select_from(enrolled),
        select(candidates.c.skipped, func.count()).group_by(candidates.c.skipped),
    )
    return dict((await session.execute(counts.add_cte(drafted))).all())


def _select_candidates(
    workspace_id: UUID, selection: LeadSelection, sequence_id: UUID, send_ats: Mapping[str | None, datetime]
) -> CTE:
    """Return the id of each selected lead, why it is skipped or null, and when its first step is sent."""
    is_enrolled = exists().where(LeadEnrollment.lead_id == Lead.id, LeadEnrollment.sequence_id == sequence_id)
    skipped = case(
        (Lead.status == LeadStatus.UNSUBSCRIBED, "unsubscribed"),
        (is_suppressed(workspace_id, Lead.email), "suppressed"),
        (is_enrolled, "already_enrolled"),
        else_=null(),
    )
    send_at = case({zone: at for zone, at in send_ats.items() if zone}, value=Lead.timezone, else_=send_ats[None])
    return (
        select(Lead.id, skipped.label("skipped"), send_at.label("send_at"))
        .where(selection.build_condition(workspace_id))
        .cte("candidates")
        # Two parts of the statement read it: compute it once.
        .prefix_with("MATERIALIZED")
    )


def select_draft_jobs(
    workspace_id: UUID, sequence_id: UUID, due: datetime, by: UUID
) -> Select[tuple[dict[str, Any], datetime]]:
    """Return a query for the (payload, run at) of a job for each draft that this transaction has added."""
    payload = func.jsonb_build_object("draftId", EmailDraft.id, "actor", literal(str(by)))
    return select(payload, literal(due)).where(
        EmailDraft.workspace_id == workspace_id,
        EmailDraft.sequence_id == sequence_id,
        EmailDraft.status == DraftStatus.PENDING,
        # The default of created_at is the start of the transaction.
        EmailDraft.created_at == func.now(),
    )


async def list_enrollments(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    sequence_id: UUID | None,
    lead_id: UUID | None,
    status: EnrollmentStatus | None,
) -> Sequence[LeadEnrollment]:
    """Return the workspace's enrollments, newest first, one more than the page holds."""
    conditions = build_filters(
        (LeadEnrollment.sequence_id, eq, sequence_id),
        (LeadEnrollment.lead_id, eq, lead_id),
        (LeadEnrollment.status, eq, status),
    )
    statement = select(LeadEnrollment).where(LeadEnrollment.workspace_id == workspace_id, *conditions)
    return (await session.scalars(paged(statement, LeadEnrollment.id, page))).all()
