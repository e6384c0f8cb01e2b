"""Resolves sends of unknown outcome: lookups at Everlytic, settlement by a user, and a sweep for work without a job."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.delivery.sending import service as sending
from api.delivery.sending.service import Acceptance
from api.delivery.unresolved_sends import repository
from api.delivery.unresolved_sends.schemas import Decision, UnknownSendOut
from api.http.errors import Conflict, NotFound, or_404
from api.http.pagination import PageRequest
from api.outreach.drafts import service as drafts
from api.people.leads import service as leads
from database import jobs
from database.models import EverlyticConnection, SendAttempt, SendOutcome, SendSettlement, Workspace
from domain.job_types import GENERATE_DRAFT, RECONCILE_SEND, SEND_EMAIL
from domain.lookup_schedule import LookupSchedule

LOST_AFTER = timedelta(hours=1)
"""How long after its claim (business time) a send without a running job counts as lost."""
MAX_LOST_CLAIMS = 1000
REPORTED_AFTER_RELEASE = "the claim was released, but Everlytic reports the mail"


class OutcomeKnown(Conflict):
    """The outcome of the send is known, so there is nothing to settle."""

    code = "outcome_known"


class NotStuck(Conflict):
    """The send is still looked up, so it cannot be settled as not sent yet."""

    code = "not_stuck_yet"


def _build_schedule(
    workspace: Workspace, claimed_at: datetime, initial_delay: timedelta = timedelta(0)
) -> LookupSchedule:
    return LookupSchedule(claimed_at, timedelta(hours=workspace.unknown_wait_hours), initial_delay)


async def list_unknown_sends(
    session: AsyncSession, workspace: Workspace, page: PageRequest, *, is_stuck: bool | None, now: datetime
) -> list[dict[str, Any]]:
    """Return sends of unknown outcome with the evidence, newest first, one more than the page holds."""
    stuck_since = now - timedelta(hours=workspace.unknown_wait_hours)
    rows = await repository.list_unknown_sends(
        session,
        workspace.id,
        page,
        claimed_until=stuck_since if is_stuck else None,
        claimed_after=stuck_since if is_stuck is False else None,
    )
    return await _add_evidence(session, workspace, rows, now)


async def get_unknown_send(
    session: AsyncSession, workspace: Workspace, draft_id: UUID, now: datetime
) -> dict[str, Any]:
    """Return the send of a draft with the evidence; raises NotFound unless its outcome is unknown."""
    row = or_404(await repository.find_unknown_send(session, workspace.id, draft_id), NO_UNKNOWN_SEND)
    (send,) = await _add_evidence(session, workspace, [row], now)
    return send


NO_UNKNOWN_SEND = "This draft has no send of unknown outcome."


async def _add_evidence(
    session: AsyncSession, workspace: Workspace, rows: Sequence[dict[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    draft_ids = [row["draft_id"] for row in rows]
    events = await repository.list_events(session, workspace.id, draft_ids)
    settlements = await repository.list_settlements(session, workspace.id, draft_ids)
    lookups = await repository.find_open_lookups(session, workspace.id, RECONCILE_SEND, draft_ids)
    last_sync = await repository.find_last_sync(session, workspace.id)
    sends = []
    for row in rows:
        schedule, lookup = _build_schedule(workspace, row["claimed_at"]), lookups.get(str(row["draft_id"]))
        evidence = {
            "next_look_up_at": lookup.run_at if lookup else None,
            "look_up_error": lookup.last_error if lookup else None,
            "stuck_at": schedule.stuck_at,
            "is_stuck": schedule.is_over(now),
            "heard": events.get(row["draft_id"], []),
            "last_sync": last_sync,
            "settlements": [settlement for settlement in settlements if settlement.draft_id == row["draft_id"]],
        }
        sends.append({**row, **evidence})
    return sends


async def settle_send(
    session: AsyncSession,
    workspace: Workspace,
    draft_id: UUID,
    decision: Decision,
    *,
    note: str,
    by: UUID,
    now: datetime,
) -> SendSettlement:
    """Record a user's decision about a send and act on it: the sequence continues, or the mail is sent again.

    Raises NotFound for a draft without an attempt, OutcomeKnown, and NotStuck for a `not_sent` that is too early.
    """
    draft = await drafts.get_draft(session, workspace.id, draft_id)
    # Lock the lead before the attempt, as recording an acceptance does (database/locks.py).
    await leads.lock_lead_or_deleted(session, workspace.id, draft.lead_id)
    _require_unknown(await repository.find_attempt(session, workspace.id, draft_id, lock=True))
    send = await get_unknown_send(session, workspace, draft_id, now)
    if decision is Decision.NOT_SENT:
        if not send["is_stuck"]:
            raise NotStuck(f"This send is being looked up until {send['stuck_at'].isoformat()}. Try again after that.")
        if (proof := await repository.find_proof(session, workspace.id, draft_id)) is not None:
            raise OutcomeKnown(f"Everlytic accepted this mail: {proof}.")
    settlement = await repository.add_settlement(
        session,
        workspace_id=workspace.id,
        draft_id=draft_id,
        decision=decision,
        note=note,
        decided_by=str(by),
        decided_at=now,
        evidence=_build_evidence(send),
    )
    if decision is Decision.SENT:
        await sending.record_acceptances(session, workspace.id, [Acceptance(draft_id, None, now)])
    else:
        await sending.release_claim(session, workspace.id, draft_id, now)
    return settlement


def _require_unknown(attempt: SendAttempt | None) -> None:
    """Raise NotFound without an attempt, and OutcomeKnown unless its outcome is unknown."""
    attempt = or_404(attempt, NO_UNKNOWN_SEND)
    match SendOutcome(attempt.outcome):
        case SendOutcome.CLAIMED:
            raise OutcomeKnown("This mail is being sent; its outcome will be known soon.")
        case SendOutcome.ACCEPTED:
            name = f" as transaction {attempt.everlytic_transaction_id}" if attempt.everlytic_transaction_id else ""
            raise OutcomeKnown(f"Everlytic has accepted this mail{name}.")
        case SendOutcome.REJECTED:
            raise OutcomeKnown(f"Everlytic has refused this mail: {attempt.error}.")
        case SendOutcome.UNKNOWN:
            return


def _build_evidence(send: dict[str, Any]) -> dict[str, Any]:
    """Return the evidence to store: without recipient, subject and errors, which can contain personal data."""
    return UnknownSendOut.of(send).model_dump(
        mode="json", by_alias=True, exclude={"recipient", "subject", "error", "look_up_error", "settlements"}
    )


async def restore_claims(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID], now: datetime) -> None:
    """Claim released drafts again that Everlytic reports, so that they are never sent again.

    `draft_ids` are all drafts that the transaction is about to accept; drafts with a claim do not change.
    """
    await repository.restore_claims(session, workspace_id, draft_ids, REPORTED_AFTER_RELEASE, now)


@dataclass(frozen=True, slots=True)
class Lookup:
    """A send to look up at Everlytic; without a usable connection, `blocked_by` is the reason."""

    schedule: LookupSchedule
    failed_lookups: int
    """How many lookups did not find it."""
    connection: EverlyticConnection | None
    blocked_by: str | None


async def prepare_lookup(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, initial_delay: timedelta
) -> Lookup | None:
    """Return what to look up, or None when the outcome is known."""
    attempt = await repository.find_attempt(session, workspace_id, draft_id)
    if attempt is None or attempt.outcome != SendOutcome.UNKNOWN:
        return None
    workspace = await workspaces.find_workspace(session, workspace_id)
    schedule = _build_schedule(workspace, attempt.claimed_at, initial_delay)
    try:
        connection = await workspaces.find_connection(session, workspace_id)
    except NotFound:
        return Lookup(schedule, attempt.look_ups, None, "the workspace has no Everlytic connection")
    disabled = f"the Everlytic connection is disabled: {connection.disabled_reason}" if connection.disabled_at else None
    return Lookup(schedule, attempt.look_ups, connection, disabled)


async def list_lost_claims(session: AsyncSession, workspace_id: UUID, now: datetime) -> Sequence[UUID]:
    """Return drafts that were claimed long ago and that no job is sending, at most MAX_LOST_CLAIMS."""
    return await repository.list_lost_claims(
        session, workspace_id, SEND_EMAIL, claimed_before=now - LOST_AFTER, limit=MAX_LOST_CLAIMS
    )


async def requeue_sends(session: AsyncSession, workspace_id: UUID, now: datetime) -> None:
    """Enqueue what has no job: lookups of sends, and drafts to write or to send."""
    workspace = await workspaces.find_workspace(session, workspace_id)
    claimed_after = now - timedelta(hours=workspace.unknown_wait_hours)
    draft_ids = await repository.list_drafts_without_lookup(
        session, workspace_id, RECONCILE_SEND, claimed_after=claimed_after
    )
    lookups = [jobs.Job(now, {"draftId": str(draft_id)}) for draft_id in draft_ids]
    await jobs.enqueue(session, RECONCILE_SEND, workspace_id, lookups)
    try:
        connection = await workspaces.find_connection(session, workspace_id)
    except NotFound:
        return
    if connection.disabled_at is not None:
        return  # Connecting the workspace again enqueues everything.
    for sequence_id in await repository.list_sequences_to_requeue(
        session, workspace_id, send_job=SEND_EMAIL, draft_job=GENERATE_DRAFT, now=now
    ):
        await sending.requeue_waiting_work(session, workspace_id, sequence_id=sequence_id, enrollment_ids=None, now=now)
