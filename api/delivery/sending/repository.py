"""The SQL of sending: what is re-read under the claim, the claim itself, and how it ended."""

from collections.abc import Collection, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import BindParameter, Select, Text, any_, bindparam, cast, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on, insert
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncSession

from api.outreach.enrollments.repository import among, unmailable
from database.models import (
    EmailDraft,
    EverlyticConnection,
    JobStatus,
    Lead,
    LeadEnrollment,
    ScheduledJob,
    SendAttempt,
    SendOutcome,
    Sequence,
    SequenceStep,
    Workspace,
)
from domain.draft import DraftEvent, DraftStatus, sources_of
from domain.enrollment import EnrollmentStatus


@dataclass(frozen=True, slots=True)
class Standing:
    """What may forbid a draft's sending, or keep it waiting, at any moment."""

    enrollment_status: str
    sequence_status: str
    sequence_deleted_at: datetime | None
    pause_reason: str | None
    forbidden: str | None
    """Why the lead must not be mailed, whatever the time."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft on its way out with what follows from its sending, and what may forbid it."""

    draft: EmailDraft
    enrollment: LeadEnrollment
    sequence: Sequence
    lead: Lead
    forbidden: str | None
    outcome: SendOutcome | None
    """What is known of the one call to the provider; None while nobody has tried."""
    claimed_by: UUID | None
    """The job that has tried."""

    @property
    def standing(self) -> Standing:
        """What may forbid it."""
        sequence = self.sequence
        return Standing(
            self.enrollment.status, sequence.status, sequence.deleted_at, sequence.pause_reason, self.forbidden
        )


_ACCEPT = text(
    """
    WITH accepted AS (
      UPDATE app.send_attempts AS attempt
         SET outcome = 'accepted', everlytic_transaction_id = told.transaction_id, error = NULL, recorded_at = now()
        FROM unnest(CAST(:draft_ids AS uuid[]), CAST(:transaction_ids AS text[])) AS told (draft_id, transaction_id)
       WHERE attempt.draft_id = told.draft_id AND attempt.workspace_id = :workspace_id
         AND attempt.outcome IN ('claimed', 'unknown')
      RETURNING attempt.draft_id, told.transaction_id
    )
    UPDATE app.email_drafts AS draft
       SET status = :sent, sent_at = :now, error_reason = NULL, everlytic_message_id = accepted.transaction_id
      FROM accepted
     WHERE draft.id = accepted.draft_id AND draft.status = ANY(CAST(:sources AS text[]))
    RETURNING draft.id
    """
)

_ADVANCE = text(
    """
    UPDATE app.lead_enrollments AS enrollment
       SET current_step_order = next.step_order, next_run_at = next.send_at
      FROM unnest(CAST(:ids AS uuid[]), CAST(:step_orders AS int[]), CAST(:send_ats AS timestamptz[]))
        AS next (id, step_order, send_at)
     WHERE enrollment.id = next.id AND enrollment.workspace_id = :workspace_id
    """
)


@dataclass(frozen=True, slots=True)
class NextStep:
    """The step that follows a draft, and when it goes out."""

    before: EmailDraft
    step: SequenceStep
    send_at: datetime


_WITHDRAW = text(
    """
    WITH withdrawn AS (DELETE FROM app.send_attempts WHERE workspace_id = :workspace_id AND draft_id = :draft_id
                          AND outcome = ANY(CAST(:open AS text[])) RETURNING draft_id, outcome),
         turn AS (DELETE FROM app.send_slots AS slot USING withdrawn WHERE slot.draft_id = withdrawn.draft_id AND made)
    SELECT outcome FROM withdrawn
    """
)

Candidates: TypeAlias = Select[EmailDraft, LeadEnrollment, Sequence, Lead, str | None, str, UUID | None]

# Made once: they are what every mail pays for.
_WORKSPACE: BindParameter[UUID] = bindparam("workspace_id", type_=PG_UUID)
_WANTED = (EmailDraft.workspace_id == _WORKSPACE, EmailDraft.id == any_(cast(bindparam("draft_ids"), ARRAY(PG_UUID))))
_CANDIDATES = (
    select(
        EmailDraft,
        LeadEnrollment,
        Sequence,
        Lead,
        unmailable(_WORKSPACE),
        SendAttempt.outcome,
        SendAttempt.job_id,
    )
    .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
    .join(Sequence, Sequence.id == EmailDraft.sequence_id)
    .join(Lead, Lead.id == EmailDraft.lead_id)
    .outerjoin(SendAttempt, SendAttempt.draft_id == EmailDraft.id)
    .where(EmailDraft.workspace_id == _WORKSPACE)
)
_READ = _CANDIDATES.where(*_WANTED).order_by(EmailDraft.id)
_READ_TO_CLAIM = _READ.with_for_update(read=True, of=[EmailDraft])
_LAST = (
    _CANDIDATES.where(LeadEnrollment.id == bindparam("enrollment_id", type_=PG_UUID))
    .order_by(EmailDraft.id.desc())
    .limit(1)
)
_LEADS = (
    select(Lead.id)
    .where(Lead.workspace_id == _WORKSPACE, Lead.id.in_(select(EmailDraft.lead_id).where(*_WANTED)))
    .order_by(Lead.id)
)
_ENROLLMENTS = (
    select(LeadEnrollment.id)
    .where(
        LeadEnrollment.workspace_id == _WORKSPACE,
        LeadEnrollment.id.in_(select(EmailDraft.enrollment_id).where(*_WANTED)),
    )
    .order_by(LeadEnrollment.id)
)
_SEQUENCES = (
    select(Sequence.id)
    .where(Sequence.workspace_id == _WORKSPACE, Sequence.id.in_(select(EmailDraft.sequence_id).where(*_WANTED)))
    .order_by(Sequence.id)
)
_HOLD_TO_CLAIM = [one.with_for_update(read=True) for one in (_LEADS, _ENROLLMENTS, _SEQUENCES)]
_HOLD_TO_CHANGE = [one.with_for_update(key_share=True) for one in (_LEADS, _ENROLLMENTS)]
_STANDING = (
    select(
        EmailDraft.id,
        LeadEnrollment.status,
        Sequence.status,
        Sequence.deleted_at,
        Sequence.pause_reason,
        unmailable(_WORKSPACE),
        EverlyticConnection,
    )
    .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
    .join(Sequence, Sequence.id == EmailDraft.sequence_id)
    .join(Lead, Lead.id == EmailDraft.lead_id)
    .join(Workspace, Workspace.id == EmailDraft.workspace_id)
    .outerjoin(EverlyticConnection, EverlyticConnection.workspace_id == EmailDraft.workspace_id)
    .where(*_WANTED, Workspace.deleted_at.is_(None))
)


async def hold(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID], *, to_change: bool) -> list[Candidate]:
    """Return drafts with what may forbid their sending, held until the transaction ends.

    Leads, then enrollments, sequences, drafts: in share mode to claim, so that a stop or an edit that has committed is
    seen and one that has not must wait; leads and enrollments against every change to record.
    """
    wanted = {"workspace_id": workspace_id, "draft_ids": list(draft_ids)}
    for statement in _HOLD_TO_CHANGE if to_change else _HOLD_TO_CLAIM:
        await session.execute(statement, wanted)
    # A statement of its own, so that it sees what was committed while those before it waited.
    return await _read(session, _READ if to_change else _READ_TO_CLAIM, wanted)


async def read(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]) -> list[Candidate]:
    """Return drafts as `hold` does, without holding anything."""
    return await _read(session, _READ, {"workspace_id": workspace_id, "draft_ids": list(draft_ids)})


async def standing_of(
    session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]
) -> dict[UUID, tuple[Standing, EverlyticConnection | None]]:
    """Return what may forbid drafts of a workspace that is not deleted, as one statement finds it all."""
    rows = await session.execute(_STANDING, {"workspace_id": workspace_id, "draft_ids": list(draft_ids)})
    return {row[0]: (Standing(*row[1:6]), row[6]) for row in rows}


async def find_last(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID) -> Candidate | None:
    """Return the draft that an enrollment has come to, as `hold` would, without holding anything."""
    found = await _read(session, _LAST, {"workspace_id": workspace_id, "enrollment_id": enrollment_id})
    return next(iter(found), None)


async def _read(session: AsyncSession, candidates: Candidates, wanted: Mapping[str, object]) -> list[Candidate]:
    rows = await session.execute(candidates, dict(wanted), execution_options={"populate_existing": True})
    return [
        Candidate(draft, enrollment, sequence, lead, forbidden, SendOutcome(outcome) if outcome else None, job_id)
        for draft, enrollment, sequence, lead, forbidden, outcome, job_id in rows
    ]


async def hold_sequences(session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID]) -> None:
    """Hold sequences, and so the steps they have, as they are until the transaction ends."""
    held = select(Sequence.id).where(Sequence.workspace_id == workspace_id, Sequence.id.in_(sequence_ids))
    await session.execute(held.order_by(Sequence.id).with_for_update(read=True))


async def claim(session: AsyncSession, workspace_id: UUID, wanted: Mapping[UUID, UUID], now: datetime) -> set[UUID]:
    """Insert the one permission to call the provider for each draft and its job; returns those that had none."""
    same = {"workspace_id": workspace_id, "claimed_at": now}
    statement = (
        insert(SendAttempt)
        .values([{**same, "draft_id": draft_id, "job_id": job_id} for draft_id, job_id in wanted.items()])
        .on_conflict_do_nothing(index_elements=["draft_id"])
        .returning(SendAttempt.draft_id)
    )
    return set((await session.scalars(statement)).all()) if wanted else set()


async def accept(
    session: AsyncSession, workspace_id: UUID, transaction_ids: Mapping[UUID, str | None], now: datetime
) -> set[UUID]:
    """Record that the provider took these drafts; returns those of which that was not known yet."""
    parameters = {
        "workspace_id": workspace_id,
        "draft_ids": list(transaction_ids),
        "transaction_ids": list(transaction_ids.values()),
        "now": now,
        "sent": DraftStatus.SENT.value,
        "sources": sorted(sources_of(DraftEvent.SENT)),
    }
    return set((await session.scalars(_ACCEPT, parameters)).all())


async def withdraw(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> SendOutcome | None:
    """Take a claim, and its turn, back whose call is proved to have had no effect; returns what was known of it."""
    parameters = {"workspace_id": workspace_id, "draft_id": draft_id, "open": [*_OPEN]}
    withdrawn = await session.scalar(_WITHDRAW, parameters)
    return SendOutcome(withdrawn) if withdrawn else None


_OPEN = (SendOutcome.CLAIMED, SendOutcome.UNKNOWN)


async def refuse(session: AsyncSession, draft_id: UUID, outcome: SendOutcome, error: str) -> bool:
    """Record that an open claim ended without acceptance; False when its end is known already.

    What the caller of the provider says outranks that somebody else took the caller for lost.
    """
    sources = (SendOutcome.CLAIMED,) if outcome is SendOutcome.UNKNOWN else _OPEN
    statement = (
        update(SendAttempt)
        .where(SendAttempt.draft_id == draft_id, SendAttempt.outcome.in_(sources))
        .values(outcome=outcome, error=error, recorded_at=func.now())
        .returning(SendAttempt.id)
    )
    return await session.scalar(statement) is not None


async def note(session: AsyncSession, draft_id: UUID, error_reason: str | None) -> None:
    """Say on a draft what its reader should know of its sending."""
    await session.execute(update(EmailDraft).where(EmailDraft.id == draft_id).values(error_reason=error_reason))


async def fail(
    session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID], event: DraftEvent, reason: str
) -> None:
    """Fail those of these drafts that the event is legal for, with the reason."""
    await session.execute(
        update(EmailDraft)
        .where(
            EmailDraft.workspace_id == workspace_id,
            EmailDraft.id == among(draft_ids),
            EmailDraft.status.in_(sources_of(event)),
        )
        .values(status=DraftStatus.FAILED, error_reason=reason)
    )


async def steps_of(session: AsyncSession, sequence_ids: Collection[UUID]) -> Rows[SequenceStep]:
    """Return the steps of these sequences in order."""
    return (
        await session.scalars(
            select(SequenceStep).where(SequenceStep.sequence_id.in_(sequence_ids)).order_by(SequenceStep.step_order),
            execution_options={"populate_existing": True},
        )
    ).all()


async def drafts_of(
    session: AsyncSession, workspace_id: UUID, enrollment_ids: Rows[UUID]
) -> Rows[tuple[UUID, UUID, DraftStatus]]:
    """Return (enrollment, step, status) of all drafts of these enrollments."""
    statement = select(EmailDraft.enrollment_id, EmailDraft.step_id, EmailDraft.status).where(
        EmailDraft.workspace_id == workspace_id, EmailDraft.enrollment_id == among(enrollment_ids)
    )
    return [(enrollment, step, DraftStatus(status)) for enrollment, step, status in await session.execute(statement)]


async def last_sent(session: AsyncSession, enrollment_id: UUID) -> datetime | None:
    """Return when an enrollment's last mail was sent."""
    statement = select(func.max(EmailDraft.sent_at)).where(EmailDraft.enrollment_id == enrollment_id)
    return await session.scalar(statement)


async def set_on(session: AsyncSession, workspace_id: UUID, steps: Rows[NextStep]) -> Rows[UUID]:
    """Let enrollments wait for their next step, with a pending draft of it; returns the drafts that are new."""
    parameters = {
        "workspace_id": workspace_id,
        "ids": [one.before.enrollment_id for one in steps],
        "step_orders": [one.step.step_order for one in steps],
        "send_ats": [one.send_at for one in steps],
    }
    await session.execute(_ADVANCE, parameters)
    drafts = [
        {
            "workspace_id": workspace_id,
            "lead_id": one.before.lead_id,
            "enrollment_id": one.before.enrollment_id,
            "sequence_id": one.before.sequence_id,
            "step_id": one.step.id,
            "step_order": one.step.step_order,
            "send_at": one.send_at,
        }
        for one in steps
    ]
    statement = insert(EmailDraft).on_conflict_do_nothing(index_elements=["enrollment_id", "step_id"])
    return (await session.scalars(statement.values(drafts).returning(EmailDraft.id))).all()


async def waiting_drafts(
    session: AsyncSession,
    workspace_id: UUID,
    status: DraftStatus,
    job_type: str,
    *,
    unless: Collection[JobStatus],
    sequence_id: UUID | None,
    enrollment_ids: Rows[UUID] | None,
) -> Rows[UUID]:
    """Return drafts of active enrollments in a status that nobody tried to send and that no such job is about."""
    jobs_of_draft = exists().where(
        ScheduledJob.workspace_id == workspace_id,
        ScheduledJob.job_type == job_type,
        ScheduledJob.status.in_(unless),
        ScheduledJob.payload["draftId"].astext == cast(EmailDraft.id, Text),
    )
    statement = (
        select(EmailDraft.id)
        .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
        .where(
            EmailDraft.workspace_id == workspace_id,
            EmailDraft.status == status,
            LeadEnrollment.status == EnrollmentStatus.ACTIVE,
            ~exists().where(SendAttempt.draft_id == EmailDraft.id),
            ~jobs_of_draft,
        )
    )
    if sequence_id is not None:
        statement = statement.where(EmailDraft.sequence_id == sequence_id)
    if enrollment_ids is not None:
        statement = statement.where(EmailDraft.enrollment_id == among(enrollment_ids))
    return (await session.scalars(statement)).all()


async def idle_drafts(session: AsyncSession, workspace_id: UUID, enrollment_ids: Rows[UUID]) -> Rows[UUID]:
    """Return, of active enrollments that have nothing more to send, the last that was sent."""
    last = (
        select(EmailDraft.id, EmailDraft.status)
        .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
        .where(
            EmailDraft.workspace_id == workspace_id,
            EmailDraft.enrollment_id == among(enrollment_ids),
            LeadEnrollment.status == EnrollmentStatus.ACTIVE,
        )
        .ext(distinct_on(EmailDraft.enrollment_id))
        .order_by(EmailDraft.enrollment_id, EmailDraft.id.desc())
        .subquery("last")
    )
    return (await session.scalars(select(last.c.id).where(last.c.status == DraftStatus.SENT))).all()
