"""The SQL of sending: drafts with the states that can stop them, claims, and the outcomes of claims."""

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

from api.delivery.sending.eligibility import Candidate, SendState
from api.people.leads.tracking import decide_tracking
from database.conditions import awaits_review, block_reason, id_in
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
from database.sql_files import load_statement
from domain.draft import DraftEvent, DraftStatus, source_statuses
from domain.enrollment import EnrollmentStatus
from domain.suppression import normalise_address

_RECORD_ACCEPTANCES = text(load_statement(__file__, "record_acceptances"))
_LIST_HELD_DRAFTS = text(load_statement(__file__, "list_held_drafts"))
_RELEASE_CLAIM = text(load_statement(__file__, "release_claim"))
_ADVANCE_ENROLLMENTS = text(load_statement(__file__, "advance_enrollments"))


@dataclass(frozen=True, slots=True)
class NextStep:
    """The step that follows a sent draft, and when to send it."""

    previous_draft: EmailDraft
    step: SequenceStep
    send_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimRun:
    """A run of a job, which is its attempt number, that claimed a draft."""

    draft_id: UUID
    job_id: UUID
    attempt: int


CandidateQuery: TypeAlias = Select[EmailDraft, LeadEnrollment, Sequence, Lead, str | None, str, UUID | None, bool]
# Built once at import, because every send runs these statements.
_WORKSPACE_ID: BindParameter[UUID] = bindparam("workspace_id", type_=PG_UUID)
_IS_REQUESTED = (
    EmailDraft.workspace_id == _WORKSPACE_ID,
    EmailDraft.id == any_(cast(bindparam("draft_ids"), ARRAY(PG_UUID))),
)
_CANDIDATES = (
    select(
        EmailDraft,
        LeadEnrollment,
        Sequence,
        Lead,
        block_reason(_WORKSPACE_ID),
        SendAttempt.outcome,
        SendAttempt.job_id,
        awaits_review(),
    )
    .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
    .join(Sequence, Sequence.id == EmailDraft.sequence_id)
    .join(Lead, Lead.id == EmailDraft.lead_id)
    .outerjoin(SendAttempt, SendAttempt.draft_id == EmailDraft.id)
    .where(EmailDraft.workspace_id == _WORKSPACE_ID)
)
_SELECT_BY_ID = _CANDIDATES.where(*_IS_REQUESTED).order_by(EmailDraft.id)
_SELECT_LAST = (
    _CANDIDATES.where(LeadEnrollment.id == bindparam("enrollment_id", type_=PG_UUID))
    .order_by(EmailDraft.id.desc())
    .limit(1)
)
_LEADS = (
    select(Lead.id)
    .where(Lead.workspace_id == _WORKSPACE_ID, Lead.id.in_(select(EmailDraft.lead_id).where(*_IS_REQUESTED)))
    .order_by(Lead.id)
)
_ENROLLMENTS = (
    select(LeadEnrollment.id)
    .where(
        LeadEnrollment.workspace_id == _WORKSPACE_ID,
        LeadEnrollment.id.in_(select(EmailDraft.enrollment_id).where(*_IS_REQUESTED)),
    )
    .order_by(LeadEnrollment.id)
)
_SEQUENCES = (
    select(Sequence.id)
    .where(
        Sequence.workspace_id == _WORKSPACE_ID, Sequence.id.in_(select(EmailDraft.sequence_id).where(*_IS_REQUESTED))
    )
    .order_by(Sequence.id)
)
_DRAFTS = select(EmailDraft.id).where(*_IS_REQUESTED).order_by(EmailDraft.id)
# A claim locks in share mode (FOR SHARE): claims run in parallel, but a stop or an edit waits until the claim commits.
_LOCK_SHARED = [select_ids.with_for_update(read=True) for select_ids in (_LEADS, _ENROLLMENTS, _SEQUENCES, _DRAFTS)]
# Recording a result changes leads and enrollments, so it locks them exclusively (FOR NO KEY UPDATE).
_LOCK_EXCLUSIVE = [select_ids.with_for_update(key_share=True) for select_ids in (_LEADS, _ENROLLMENTS)]
_SEND_STATES = (
    select(
        EmailDraft.id,
        LeadEnrollment.status,
        Sequence.status,
        Sequence.deleted_at,
        Sequence.pause_reason,
        block_reason(_WORKSPACE_ID),
        awaits_review(),
        EverlyticConnection,
    )
    .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
    .join(Sequence, Sequence.id == EmailDraft.sequence_id)
    .join(Lead, Lead.id == EmailDraft.lead_id)
    .join(Workspace, Workspace.id == EmailDraft.workspace_id)
    .outerjoin(EverlyticConnection, EverlyticConnection.workspace_id == EmailDraft.workspace_id)
    .where(*_IS_REQUESTED, Workspace.deleted_at.is_(None))
)


async def lock_to_claim(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]) -> None:
    """Lock drafts with their leads, enrollments and sequences in share mode: a later stop or edit of them waits."""
    for statement in _LOCK_SHARED:
        await session.execute(statement, {"workspace_id": workspace_id, "draft_ids": list(draft_ids)})


async def lock_candidates(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]) -> list[Candidate]:
    """Return drafts with the states that can stop their sending, with leads and enrollments locked to change them."""
    parameters = {"workspace_id": workspace_id, "draft_ids": list(draft_ids)}
    for statement in _LOCK_EXCLUSIVE:
        await session.execute(statement, parameters)
    # A separate statement, so that its snapshot includes what was committed while the locks were awaited.
    return await list_candidates(session, workspace_id, draft_ids)


async def list_candidates(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]) -> list[Candidate]:
    """Return the same as `lock_candidates`, without locks."""
    return await _fetch_candidates(session, _SELECT_BY_ID, {"workspace_id": workspace_id, "draft_ids": list(draft_ids)})


async def get_send_states(
    session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]
) -> dict[UUID, tuple[SendState, EverlyticConnection | None]]:
    """Return the states that can stop drafts, from one snapshot; empty if the workspace is deleted."""
    rows = await session.execute(_SEND_STATES, {"workspace_id": workspace_id, "draft_ids": list(draft_ids)})
    return {row[0]: (SendState(*row[1:7]), row[7]) for row in rows}


async def list_held_drafts(session: AsyncSession, workspace_id: UUID, runs: Rows[ClaimRun]) -> Collection[UUID]:
    """Return the drafts whose claim is still open and of the run given, which still has its job."""
    parameters = {
        "workspace_id": workspace_id,
        "draft_ids": [run.draft_id for run in runs],
        "job_ids": [run.job_id for run in runs],
        "attempts": [run.attempt for run in runs],
    }
    return set((await session.scalars(_LIST_HELD_DRAFTS, parameters)).all())


async def find_last_candidate(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID) -> Candidate | None:
    """Return the latest draft of an enrollment as `list_candidates` does."""
    parameters = {"workspace_id": workspace_id, "enrollment_id": enrollment_id}
    return next(iter(await _fetch_candidates(session, _SELECT_LAST, parameters)), None)


async def _fetch_candidates(
    session: AsyncSession, statement: CandidateQuery, parameters: Mapping[str, object]
) -> list[Candidate]:
    rows = await session.execute(statement, dict(parameters), execution_options={"populate_existing": True})
    return [
        Candidate(draft, enrollment, sequence, lead, blocked, SendOutcome(outcome) if outcome else None, job_id, awaits)
        for draft, enrollment, sequence, lead, blocked, outcome, job_id, awaits in rows
    ]


async def lock_sequences(session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID]) -> None:
    """Lock sequences in share mode, so that neither they nor their steps change until the transaction ends."""
    statement = select(Sequence.id).where(Sequence.workspace_id == workspace_id, Sequence.id.in_(sequence_ids))
    await session.execute(statement.order_by(Sequence.id).with_for_update(read=True))


async def insert_claims(
    session: AsyncSession, workspace: Workspace, jobs_by_candidate: Rows[tuple[Candidate, UUID]], now: datetime
) -> set[UUID]:
    """Insert the claim of each draft for its job; returns the drafts that had no claim yet.

    A draft has at most one claim, so only one job may call the provider for it. The claim says who is mailed, what, and
    what is measured of it, because the lead, the draft and the workspace may change later.
    """
    trackings = [decide_tracking(workspace, candidate.lead) for candidate, _ in jobs_by_candidate]
    rows = [
        {
            "workspace_id": workspace.id,
            "claimed_at": now,
            "draft_id": candidate.draft.id,
            "job_id": job_id,
            "recipient": normalise_address(candidate.lead.email),
            "subject": candidate.draft.subject,
            "template_version": candidate.draft.template_version,
            "tracks_opens": tracking.opens,
            "tracks_clicks": tracking.clicks,
        }
        for (candidate, job_id), tracking in zip(jobs_by_candidate, trackings, strict=True)
    ]
    statement = (
        insert(SendAttempt)
        .values(rows)
        .on_conflict_do_nothing(index_elements=["draft_id"])
        .returning(SendAttempt.draft_id)
    )
    return set((await session.scalars(statement)).all()) if rows else set()


async def record_acceptances(
    session: AsyncSession, workspace_id: UUID, transaction_ids: Mapping[UUID, str | None], now: datetime
) -> set[UUID]:
    """Record that the provider accepted these drafts; returns those that were not recorded as sent before."""
    parameters = {
        "workspace_id": workspace_id,
        "draft_ids": list(transaction_ids),
        "transaction_ids": list(transaction_ids.values()),
        "now": now,
        "sent": DraftStatus.SENT.value,
        "sources": sorted(source_statuses(DraftEvent.SENT)),
    }
    return set((await session.scalars(_RECORD_ACCEPTANCES, parameters)).all())


async def release_claim(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, job_id: UUID | None = None
) -> SendOutcome | None:
    """Move an open claim (of this job, if given) to the released ones, without its slot; returns its outcome."""
    parameters = {"workspace_id": workspace_id, "draft_id": draft_id, "job_id": job_id, "open": [*_OPEN_OUTCOMES]}
    outcome = await session.scalar(_RELEASE_CLAIM, parameters)
    return SendOutcome(outcome) if outcome else None


_OPEN_OUTCOMES = (SendOutcome.CLAIMED, SendOutcome.UNKNOWN)


async def record_outcome(session: AsyncSession, draft_id: UUID, outcome: SendOutcome, error: str) -> bool:
    """Record that an open claim ended without acceptance; returns False when its result was recorded before.

    A rejection also replaces UNKNOWN: the worker that made the call knows more than the one that presumed it lost.
    """
    sources = (SendOutcome.CLAIMED,) if outcome is SendOutcome.UNKNOWN else _OPEN_OUTCOMES
    statement = (
        update(SendAttempt)
        .where(SendAttempt.draft_id == draft_id, SendAttempt.outcome.in_(sources))
        .values(outcome=outcome, error=error, recorded_at=func.now())
        .returning(SendAttempt.id)
    )
    return await session.scalar(statement) is not None


async def set_error_reason(session: AsyncSession, draft_id: UUID, error_reason: str | None) -> None:
    """Set or clear what a draft shows about its sending."""
    await session.execute(update(EmailDraft).where(EmailDraft.id == draft_id).values(error_reason=error_reason))


async def fail_drafts(
    session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID], event: DraftEvent, reason: str
) -> None:
    """Mark these drafts as failed with the reason, where the event is legal."""
    await session.execute(
        update(EmailDraft)
        .where(
            EmailDraft.workspace_id == workspace_id,
            EmailDraft.id == id_in(draft_ids),
            EmailDraft.status.in_(source_statuses(event)),
        )
        .values(status=DraftStatus.FAILED, error_reason=reason)
    )


async def list_steps(session: AsyncSession, sequence_ids: Collection[UUID]) -> Rows[SequenceStep]:
    """Return the steps of these sequences in order."""
    return (
        await session.scalars(
            select(SequenceStep).where(SequenceStep.sequence_id.in_(sequence_ids)).order_by(SequenceStep.step_order),
            execution_options={"populate_existing": True},
        )
    ).all()


async def list_drafts(
    session: AsyncSession, workspace_id: UUID, enrollment_ids: Rows[UUID]
) -> Rows[tuple[UUID, UUID, DraftStatus]]:
    """Return (enrollment, step, status) of all drafts of these enrollments."""
    statement = select(EmailDraft.enrollment_id, EmailDraft.step_id, EmailDraft.status).where(
        EmailDraft.workspace_id == workspace_id, EmailDraft.enrollment_id == id_in(enrollment_ids)
    )
    return [(enrollment, step, DraftStatus(status)) for enrollment, step, status in await session.execute(statement)]


async def find_last_sent_at(session: AsyncSession, enrollment_id: UUID) -> datetime | None:
    """Return when the last mail of an enrollment was sent."""
    statement = select(func.max(EmailDraft.sent_at)).where(EmailDraft.enrollment_id == enrollment_id)
    return await session.scalar(statement)


async def schedule_next_steps(session: AsyncSession, workspace_id: UUID, next_steps: Rows[NextStep]) -> Rows[UUID]:
    """Set the next step of enrollments and insert a pending draft for each; returns the drafts that are new."""
    parameters = {
        "workspace_id": workspace_id,
        "ids": [next_step.previous_draft.enrollment_id for next_step in next_steps],
        "step_orders": [next_step.step.step_order for next_step in next_steps],
        "send_ats": [next_step.send_at for next_step in next_steps],
    }
    await session.execute(_ADVANCE_ENROLLMENTS, parameters)
    drafts = [
        {
            "workspace_id": workspace_id,
            "lead_id": next_step.previous_draft.lead_id,
            "enrollment_id": next_step.previous_draft.enrollment_id,
            "sequence_id": next_step.previous_draft.sequence_id,
            "step_id": next_step.step.id,
            "step_order": next_step.step.step_order,
            "send_at": next_step.send_at,
        }
        for next_step in next_steps
    ]
    statement = insert(EmailDraft).on_conflict_do_nothing(index_elements=["enrollment_id", "step_id"])
    return (await session.scalars(statement.values(drafts).returning(EmailDraft.id))).all()


async def list_waiting_drafts(
    session: AsyncSession,
    workspace_id: UUID,
    status: DraftStatus,
    job_type: str,
    *,
    job_statuses: Collection[JobStatus],
    sequence_id: UUID | None,
    enrollment_ids: Rows[UUID] | None,
) -> Rows[UUID]:
    """Return drafts of active enrollments in a status, without a send attempt and without a job in `job_statuses`."""
    has_job = exists().where(
        ScheduledJob.workspace_id == workspace_id,
        ScheduledJob.job_type == job_type,
        ScheduledJob.status.in_(job_statuses),
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
            ~has_job,
        )
    )
    if sequence_id is not None:
        statement = statement.where(EmailDraft.sequence_id == sequence_id)
    if enrollment_ids is not None:
        statement = statement.where(EmailDraft.enrollment_id == id_in(enrollment_ids))
    return (await session.scalars(statement)).all()


async def list_idle_drafts(session: AsyncSession, workspace_id: UUID, enrollment_ids: Rows[UUID]) -> Rows[UUID]:
    """Return the last draft of each active enrollment, where that draft was sent."""
    last = (
        select(EmailDraft.id, EmailDraft.status)
        .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
        .where(
            EmailDraft.workspace_id == workspace_id,
            EmailDraft.enrollment_id == id_in(enrollment_ids),
            LeadEnrollment.status == EnrollmentStatus.ACTIVE,
        )
        .ext(distinct_on(EmailDraft.enrollment_id))
        .order_by(EmailDraft.enrollment_id, EmailDraft.id.desc())
        .subquery("last")
    )
    return (await session.scalars(select(last.c.id).where(last.c.status == DraftStatus.SENT))).all()
