"""The SQL of enrollments: set-based, one statement per act, rows locked in the order of their ids."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Select,
    Text,
    and_,
    any_,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from api.people.suppressions.repository import suppressed
from database.models import EmailDraft, Lead, LeadEnrollment, SendAttempt, SequenceStep
from domain.draft import DraftEvent, DraftStatus
from domain.draft import sources_of as drafts_before
from domain.enrollment import LIVE, EnrollmentEvent, EnrollmentStatus, next_status, sources_of
from domain.lead import LeadStatus

_TURN_TO_END = text("SELECT pg_advisory_xact_lock(hashtextextended('enroll' || :sequence_id, 0))")
_TURN_TO_ENTER = text("SELECT pg_advisory_xact_lock_shared(hashtextextended('enroll' || :sequence_id, 0))")

# Enough to hash a few hundred thousand suppressions; with less, each lead would look its two up by themselves.
_TAKE_ROOM = text("SELECT set_config('work_mem', '128MB', true)")

_MOVE = text(
    """
    WITH old AS (
      SELECT id, status FROM app.lead_enrollments
       WHERE workspace_id = :workspace_id
         AND (CAST(:lead_ids AS uuid[]) IS NULL OR lead_id = ANY(CAST(:lead_ids AS uuid[])))
         AND (CAST(:ids AS uuid[]) IS NULL OR id = ANY(CAST(:ids AS uuid[])))
         AND (CAST(:sequence_id AS uuid) IS NULL OR sequence_id = CAST(:sequence_id AS uuid))
         AND status = ANY(CAST(:sources AS text[]))
       ORDER BY id
       FOR NO KEY UPDATE
    ),
    moved AS (
      UPDATE app.lead_enrollments AS e
         SET status = :target, pause_reason = :pause_reason, resume_at = CAST(:resume_at AS timestamptz),
             completed_at = CASE WHEN :target = 'completed' THEN CAST(:now AS timestamptz) ELSE e.completed_at END,
             next_run_at = CASE WHEN :target IN ('completed', 'unsubscribed') THEN NULL ELSE e.next_run_at END
        FROM old WHERE e.id = old.id
      RETURNING e.id, old.status AS from_status
    )
    INSERT INTO app.enrollment_events (workspace_id, enrollment_id, from_status, to_status, event, cause, occurred_at)
    SELECT :workspace_id, id, from_status, :target, :event, :cause, :now FROM moved
    RETURNING enrollment_id
    """
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The leads that are to be enrolled: some by id, or all of a list."""

    lead_ids: Sequence[UUID] | None
    list_id: UUID | None

    def condition(self, workspace_id: UUID) -> ColumnElement[bool]:
        """Return the condition on a lead of the workspace."""
        chosen = Lead.list_id == self.list_id if self.lead_ids is None else Lead.id == among(self.lead_ids)
        return and_(Lead.workspace_id == workspace_id, Lead.deleted_at.is_(None), chosen)


def among(ids: Collection[UUID]) -> ColumnElement[Any]:
    """Return what an id column is compared with to be one of `ids`, however many they are."""
    return any_(cast(list(ids), ARRAY(PG_UUID)))


def unmailable(workspace_id: UUID | BindParameter[UUID]) -> ColumnElement[str | None]:
    """Return why the lead of a statement must not be mailed, whatever the time; null where it may be."""
    return case(
        (suppressed(workspace_id, Lead.email), "the address is suppressed"),
        (Lead.status == LeadStatus.UNSUBSCRIBED, "the lead has unsubscribed"),
        (Lead.erased_at.is_not(None), "the lead was erased"),
        (Lead.deleted_at.is_not(None), "the lead was deleted"),
        else_=null(),
    )


async def take_room(session: AsyncSession) -> None:
    """Let the transaction's statements sort and hash many rows in memory."""
    await session.execute(_TAKE_ROOM)


async def take_turns(session: AsyncSession, sequence_id: UUID, *, to_end: bool) -> None:
    """Keep leads from entering a sequence that is being ended; those who enroll do not wait for each other.

    By a lock of its own, taken first: the row of the sequence is locked after those of its enrollments.
    """
    await session.execute(_TURN_TO_END if to_end else _TURN_TO_ENTER, {"sequence_id": str(sequence_id)})


async def hold_leads(session: AsyncSession, workspace_id: UUID, chosen: Chosen, zone: str) -> list[str]:
    """Hold the chosen leads as they are until the transaction ends; returns their time zones, `zone` where none is."""
    held = (
        select(func.coalesce(Lead.timezone, zone).label("zone"))
        .where(chosen.condition(workspace_id))
        .order_by(Lead.id)
        .with_for_update(read=True)
        .subquery("held")
    )
    return list((await session.scalars(select(held.c.zone).distinct())).all())


async def enroll(
    session: AsyncSession,
    workspace_id: UUID,
    chosen: Chosen,
    *,
    step: SequenceStep,
    send_ats: Mapping[str | None, datetime],
    now: datetime,
) -> dict[str | None, int]:
    """Enroll every chosen lead that may be, with a pending draft of `step`; returns how many, and who was skipped why.

    `send_ats` says for each zone when the step goes out, under None for leads without one. Under None is returned how
    many there was no reason to skip.
    """
    candidates = _candidates(workspace_id, chosen, step.sequence_id, send_ats)
    same = (literal(workspace_id), literal(step.sequence_id), literal(step.step_order))
    free = (
        select(*same, literal(now), candidates.c.id, candidates.c.send_at)
        .where(candidates.c.skipped.is_(None))
        # In one order everywhere, so that two that enroll the same leads wait for each other and go on.
        .order_by(candidates.c.id)
    )
    enrolled = (
        insert(LeadEnrollment)
        .from_select(
            ["workspace_id", "sequence_id", "current_step_order", "enrolled_at", "lead_id", "next_run_at"], free
        )
        .on_conflict_do_nothing(
            index_elements=["lead_id", "sequence_id"], index_where=LeadEnrollment.status.in_(sorted(LIVE))
        )
        .returning(LeadEnrollment.id, LeadEnrollment.lead_id, LeadEnrollment.next_run_at)
        .cte("enrolled")
    )
    drafted = (
        insert(EmailDraft)
        .from_select(
            ["workspace_id", "sequence_id", "step_order", "step_id", "enrollment_id", "lead_id", "send_at"],
            select(*same, literal(step.id), enrolled.c.id, enrolled.c.lead_id, enrolled.c.next_run_at),
        )
        .cte("drafted")
    )
    counts = union_all(
        select(literal("enrolled", Text), func.count()).select_from(enrolled),
        select(candidates.c.skipped, func.count()).group_by(candidates.c.skipped),
    )
    return dict((await session.execute(counts.add_cte(drafted))).all())


def _candidates(workspace_id: UUID, chosen: Chosen, sequence_id: UUID, send_ats: Mapping[str | None, datetime]) -> CTE:
    """Return of the chosen leads the id, why it is skipped if it is, and when its first step goes out."""
    went_before = exists().where(LeadEnrollment.lead_id == Lead.id, LeadEnrollment.sequence_id == sequence_id)
    skipped = case(
        (Lead.status == LeadStatus.UNSUBSCRIBED, "unsubscribed"),
        (suppressed(workspace_id, Lead.email), "suppressed"),
        (went_before, "already_enrolled"),
        else_=null(),
    )
    send_at = case({zone: at for zone, at in send_ats.items() if zone}, value=Lead.timezone, else_=send_ats[None])
    return (
        select(Lead.id, skipped.label("skipped"), send_at.label("send_at"))
        .where(chosen.condition(workspace_id))
        .cte("candidates")
        .prefix_with("MATERIALIZED")
    )


def drafts_just_made(
    workspace_id: UUID, sequence_id: UUID, due: datetime, by: UUID
) -> Select[tuple[dict[str, Any], datetime]]:
    """Return the (payload, due) of a job for each draft that this transaction has made for the sequence."""
    payload = func.jsonb_build_object("draftId", EmailDraft.id, "actor", literal(str(by)))
    return select(payload, literal(due)).where(
        EmailDraft.workspace_id == workspace_id,
        EmailDraft.sequence_id == sequence_id,
        EmailDraft.status == DraftStatus.PENDING,
        # The default of created_at is the transaction's own start.
        EmailDraft.created_at == func.now(),
    )


async def move(
    session: AsyncSession,
    workspace_id: UUID,
    event: EnrollmentEvent,
    *,
    cause: str,
    now: datetime,
    ids: Sequence[UUID] | None = None,
    lead_ids: Sequence[UUID] | None = None,
    sequence_id: UUID | None = None,
    only: EnrollmentStatus | None = None,
    pause_reason: str | None = None,
    resume_at: datetime | None = None,
) -> list[UUID]:
    """Move the enrollments that the event is legal for, with their history; returns which moved.

    They are chosen by their ids, their leads or their sequence, and by `only` one status where that is given.
    """
    assert ids is not None or lead_ids is not None or sequence_id is not None
    sources = sources_of(event)
    (target,) = {next_status(source, event) for source in sources}
    rows = await session.scalars(
        _MOVE,
        {
            "workspace_id": workspace_id,
            "ids": list(ids) if ids is not None else None,
            "lead_ids": list(lead_ids) if lead_ids is not None else None,
            "sequence_id": sequence_id,
            "sources": sorted(sources if only is None else sources & {only}),
            "target": target.value,
            "event": event.value,
            "cause": cause,
            "now": now,
            "pause_reason": pause_reason,
            "resume_at": resume_at,
        },
    )
    return list(rows.all())


async def put_off(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], reason: str, resume_at: datetime | None
) -> list[UUID]:
    """Set when enrollments of these leads that are paused for a reason resume; returns which."""
    waiting = (
        select(LeadEnrollment.id)
        .where(
            LeadEnrollment.workspace_id == workspace_id,
            LeadEnrollment.lead_id == among(lead_ids),
            LeadEnrollment.status == EnrollmentStatus.PAUSED,
            LeadEnrollment.pause_reason == reason,
        )
        .order_by(LeadEnrollment.id)
        .with_for_update(key_share=True)
        .cte("waiting")
    )
    statement = update(LeadEnrollment).where(LeadEnrollment.id == waiting.c.id).values(resume_at=resume_at)
    return list((await session.scalars(statement.returning(LeadEnrollment.id))).all())


_STOPPED_BY = text(
    """
    SELECT enrollment.id
      FROM app.lead_enrollments AS enrollment,
           LATERAL (SELECT event, cause FROM app.enrollment_events
                     WHERE enrollment_id = enrollment.id ORDER BY id DESC LIMIT 1) AS last
     WHERE enrollment.workspace_id = :workspace_id AND enrollment.lead_id = :lead_id
       AND last.event = :event AND last.cause = :cause
    """
)


async def stopped_by(
    session: AsyncSession, workspace_id: UUID, lead_id: UUID, event: EnrollmentEvent, cause: str
) -> list[UUID]:
    """Return the enrollments of a lead to which an event of a cause happened last."""
    told = {"workspace_id": workspace_id, "lead_id": lead_id, "event": event.value, "cause": cause}
    return list((await session.scalars(_STOPPED_BY, told)).all())


async def call_off(session: AsyncSession, workspace_id: UUID, enrollment_ids: Sequence[UUID], reason: str) -> None:
    """Fail all that was not sent yet of enrollments that the caller holds; what is being sent goes its way.

    A statement of its own after the one that held them, so that it sees every send that was claimed before.
    """
    event = DraftEvent.CALLED_OFF
    unsent = (
        select(EmailDraft.id)
        .where(
            EmailDraft.workspace_id == workspace_id,
            EmailDraft.enrollment_id == among(enrollment_ids),
            EmailDraft.status.in_(drafts_before(event)),
            ~exists().where(SendAttempt.draft_id == EmailDraft.id),
        )
        .order_by(EmailDraft.id)
        .with_for_update(key_share=True)
        .cte("unsent")
    )
    failed = update(EmailDraft).where(EmailDraft.id == unsent.c.id)
    await session.execute(failed.values(status=DraftStatus.FAILED, error_reason=reason))


async def hold_all_live(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> None:
    """Hold all enrollments of a sequence that can still move, to move them."""
    live = (
        select(LeadEnrollment.id)
        .where(
            LeadEnrollment.workspace_id == workspace_id,
            LeadEnrollment.sequence_id == sequence_id,
            LeadEnrollment.status.in_(LIVE),
        )
        .order_by(LeadEnrollment.id)
        .with_for_update(key_share=True)
        .subquery("live")
    )
    await session.execute(select(func.count()).select_from(live))


async def find_enrollment(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID) -> LeadEnrollment | None:
    """Return an enrollment."""
    return await session.scalar(
        select(LeadEnrollment).where(LeadEnrollment.workspace_id == workspace_id, LeadEnrollment.id == enrollment_id)
    )


async def statuses_of(session: AsyncSession, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, EnrollmentStatus]:
    """Return how those of these enrollments stand that exist."""
    statement = select(LeadEnrollment.id, LeadEnrollment.status).where(
        LeadEnrollment.workspace_id == workspace_id, LeadEnrollment.id == among(ids)
    )
    return {found: EnrollmentStatus(status) for found, status in await session.execute(statement)}


async def count(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, only: EnrollmentStatus | None = None
) -> int:
    """Return how many enrollments a sequence has, or has in one status."""
    statement = select(func.count()).where(
        LeadEnrollment.workspace_id == workspace_id, LeadEnrollment.sequence_id == sequence_id
    )
    if only is not None:
        statement = statement.where(LeadEnrollment.status == only)
    return await session.scalar(statement) or 0


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
    statement = select(LeadEnrollment).where(LeadEnrollment.workspace_id == workspace_id)
    if sequence_id is not None:
        statement = statement.where(LeadEnrollment.sequence_id == sequence_id)
    if lead_id is not None:
        statement = statement.where(LeadEnrollment.lead_id == lead_id)
    if status is not None:
        statement = statement.where(LeadEnrollment.status == status)
    return (await session.scalars(paged(statement, LeadEnrollment.id, page))).all()
