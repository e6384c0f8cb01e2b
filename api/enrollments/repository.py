"""The SQL of enrollments: set-based, one statement per act."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import PageRequest, paged
from database.models import EmailDraft, Lead, LeadEnrollment, SequenceStep
from domain.enrollment import EnrollmentEvent, EnrollmentStatus, next_status, sources_of

_CHOSEN = """
    SELECT lead.id, coalesce(lead.timezone, :zone) AS zone,
           CASE WHEN lead.status = 'Unsubscribed' THEN 'unsubscribed'
                WHEN EXISTS (
                  SELECT 1 FROM app.suppressions AS s
                   WHERE s.workspace_id = :workspace_id
                     AND s.value_hash IN (
                       app.suppression_hash(:workspace_id, lead.email),
                       app.suppression_hash(:workspace_id, '@' || split_part(lead.email, '@', -1))))
                THEN 'suppressed'
                WHEN EXISTS (
                  SELECT 1 FROM app.lead_enrollments AS e
                   WHERE e.lead_id = lead.id AND e.sequence_id = :sequence_id)
                THEN 'already_enrolled'
           END AS skipped
      FROM app.leads AS lead
     WHERE lead.workspace_id = :workspace_id AND lead.deleted_at IS NULL
       AND (CAST(:list_id AS uuid) IS NULL OR lead.list_id = :list_id)
       AND (CAST(:lead_ids AS uuid[]) IS NULL OR lead.id = ANY(CAST(:lead_ids AS uuid[])))
"""

_ZONES = text(f"SELECT DISTINCT zone FROM ({_CHOSEN}) AS chosen WHERE skipped IS NULL")  # noqa: S608 - constant text

_ENROLL = text(
    f"""
    WITH chosen AS ({_CHOSEN}),
    enrolled AS (
      INSERT INTO app.lead_enrollments
        (workspace_id, lead_id, sequence_id, current_step_order, enrolled_at, next_run_at)
      SELECT :workspace_id, chosen.id, :sequence_id, :step_order, :now, first.send_at
        FROM chosen
        JOIN unnest(CAST(:zones AS text[]), CAST(:send_ats AS timestamptz[])) AS first (zone, send_at) USING (zone)
       WHERE chosen.skipped IS NULL
      ON CONFLICT (lead_id, sequence_id) WHERE status IN ('active', 'paused', 'replied') DO NOTHING
      RETURNING id, lead_id, next_run_at
    ),
    drafted AS (
      INSERT INTO app.email_drafts (workspace_id, lead_id, enrollment_id, sequence_id, step_id, step_order, send_at)
      SELECT :workspace_id, lead_id, id, :sequence_id, :step_id, :step_order, next_run_at FROM enrolled
    )
    SELECT 'enrolled' AS outcome, count(*) AS leads FROM enrolled
    UNION ALL
    SELECT skipped, count(*) FROM chosen WHERE skipped IS NOT NULL GROUP BY skipped
    """  # noqa: S608 - constant text
)

_MOVE = text(
    """
    WITH old AS (
      SELECT id, status FROM app.lead_enrollments
       WHERE workspace_id = :workspace_id
         AND (CAST(:lead_ids AS uuid[]) IS NULL OR lead_id = ANY(CAST(:lead_ids AS uuid[])))
         AND (CAST(:ids AS uuid[]) IS NULL OR id = ANY(CAST(:ids AS uuid[])))
         AND status = ANY(CAST(:sources AS text[]))
       ORDER BY id
       FOR UPDATE
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


async def zones_of(session: AsyncSession, parameters: Mapping[str, Any]) -> list[str]:
    """Return the time zones of the leads that `enroll` would enroll."""
    return list((await session.scalars(_ZONES, dict(parameters))).all())


async def enroll(
    session: AsyncSession,
    parameters: Mapping[str, Any],
    *,
    step: SequenceStep,
    send_ats: Mapping[str, datetime],
    now: datetime,
) -> dict[str, int]:
    """Enroll every chosen lead that may be, with a pending draft of `step`; returns how many, and who was skipped why.

    `send_ats` says for each zone when the step goes out.
    """
    rows = await session.execute(
        _ENROLL,
        {
            **parameters,
            "step_id": step.id,
            "step_order": step.step_order,
            "now": now,
            "zones": list(send_ats),
            "send_ats": list(send_ats.values()),
        },
    )
    return dict(rows.all())


def drafts_just_made(workspace_id: UUID, sequence_id: UUID, due: datetime) -> Select[tuple[dict[str, Any], datetime]]:
    """Return the (payload, due) of a job for each draft that this transaction has made for the sequence."""
    return select(func.jsonb_build_object("draftId", EmailDraft.id), literal(due)).where(
        EmailDraft.workspace_id == workspace_id,
        EmailDraft.sequence_id == sequence_id,
        EmailDraft.status == "pending",
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
    pause_reason: str | None = None,
    resume_at: datetime | None = None,
) -> list[UUID]:
    """Move the enrollments that the event is legal for, with their history; returns which moved."""
    sources = sources_of(event)
    (target,) = {next_status(source, event) for source in sources}
    rows = await session.scalars(
        _MOVE,
        {
            "workspace_id": workspace_id,
            "ids": list(ids) if ids is not None else None,
            "lead_ids": list(lead_ids) if lead_ids is not None else None,
            "sources": sorted(sources),
            "target": target.value,
            "event": event.value,
            "cause": cause,
            "now": now,
            "pause_reason": pause_reason,
            "resume_at": resume_at,
        },
    )
    return list(rows.all())


async def find_enrollment(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID) -> LeadEnrollment | None:
    """Return an enrollment."""
    return await session.scalar(
        select(LeadEnrollment).where(LeadEnrollment.workspace_id == workspace_id, LeadEnrollment.id == enrollment_id)
    )


async def find_lead_zone(session: AsyncSession, lead_id: UUID) -> str | None:
    """Return the lead's own time zone, if it has one."""
    return await session.scalar(select(Lead.timezone).where(Lead.id == lead_id))


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


async def find_draft_time(session: AsyncSession, enrollment_id: UUID, step_order: int) -> datetime | None:
    """Return when the schedule wants a step of an enrollment to leave."""
    return await session.scalar(
        select(EmailDraft.send_at).where(EmailDraft.enrollment_id == enrollment_id, EmailDraft.step_order == step_order)
    )
