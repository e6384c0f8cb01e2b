"""What became of sends that nobody saw end: how they are looked for, who may settle them, and what is never lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.delivery.sending import service as sending
from api.delivery.sending.service import RECONCILE_SEND, Acceptance
from api.delivery.unresolved_sends import repository
from api.delivery.unresolved_sends.schemas import Decision, UnknownSendOut
from api.http.errors import Conflict, NotFound
from api.http.pagination import PageRequest
from api.outreach.drafts import service as drafts
from api.outreach.drafts.service import SEND_EMAIL
from api.outreach.enrollments.service import GENERATE_DRAFT
from api.people.leads import service as leads
from database import jobs
from database.models import EverlyticConnection, SendAttempt, SendOutcome, SendSettlement, Workspace
from domain.look_up import Search

LOST_AFTER = timedelta(hours=1)
"""How long after its claim (business time) a send that no job is busy with is taken for lost."""
MOST_AT_ONCE = 1000
LOST = "the worker was lost between claim and record"
PROVED_LATE = "its claim was taken back, but Everlytic tells of it"


class OutcomeKnown(Conflict):
    """What became of the send is known by now, so there is nothing to settle."""

    code = "outcome_known"


class NotStuck(Conflict):
    """The send is still being looked for, so nobody can vouch yet that it never left."""

    code = "not_stuck_yet"


def _search(workspace: Workspace, claimed_at: datetime, first: timedelta = timedelta(0)) -> Search:
    return Search(claimed_at, timedelta(hours=workspace.unknown_wait_hours), first)


async def list_unknown(
    session: AsyncSession, workspace: Workspace, page: PageRequest, *, is_stuck: bool | None, now: datetime
) -> list[dict[str, Any]]:
    """Return sends of unknown outcome with the evidence, newest first, one more than the page holds."""
    border = now - timedelta(hours=workspace.unknown_wait_hours)
    claimed_by, after = (border if is_stuck else None), (border if is_stuck is False else None)
    rows = await repository.list_unknown(session, workspace.id, page, claimed_by=claimed_by, after=after)
    return await _with_evidence(session, workspace, rows, now)


async def get_unknown(session: AsyncSession, workspace: Workspace, draft_id: UUID, now: datetime) -> dict[str, Any]:
    """Return the send of a draft with the evidence; raises NotFound where its outcome is not unknown."""
    row = await repository.find_unknown(session, workspace.id, draft_id)
    if row is None:
        raise NotFound("There is no send of unknown outcome of such a draft.")
    (shown,) = await _with_evidence(session, workspace, [row], now)
    return shown


async def _with_evidence(
    session: AsyncSession, workspace: Workspace, rows: Sequence[dict[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    draft_ids = [row["draft_id"] for row in rows]
    heard = await repository.events_of(session, workspace.id, draft_ids)
    settlements = await repository.settlements_of(session, workspace.id, draft_ids)
    look_ups = await repository.open_look_ups(session, workspace.id, RECONCILE_SEND, draft_ids)
    last_sync = await repository.last_sync(session, workspace.id)
    shown = []
    for row in rows:
        search, look_up = _search(workspace, row["claimed_at"]), look_ups.get(str(row["draft_id"]))
        evidence = {
            "next_look_up_at": look_up.run_at if look_up else None,
            "look_up_error": look_up.last_error if look_up else None,
            "stuck_at": search.stuck_at,
            "is_stuck": search.is_over(now),
            "heard": heard.get(row["draft_id"], []),
            "last_sync": last_sync,
            "settlements": [one for one in settlements if one.draft_id == row["draft_id"]],
        }
        shown.append({**row, **evidence})
    return shown


async def settle(
    session: AsyncSession,
    workspace: Workspace,
    draft_id: UUID,
    decision: Decision,
    *,
    note: str,
    by: UUID,
    now: datetime,
) -> SendSettlement:
    """Let a person say what became of a send, and act on it: its sequence goes on, or the mail is sent again.

    Raises NotFound where nobody tried to send the draft, OutcomeKnown, and NotStuck for a `not_sent` that is too early.
    """
    draft = await drafts.get_draft(session, workspace.id, draft_id)
    # Leads before all else, as everybody does.
    await leads.hold_any(session, workspace.id, draft.lead_id)
    _require_unknown(await repository.find_attempt(session, workspace.id, draft_id, hold=True))
    known = await get_unknown(session, workspace, draft_id, now)
    if decision is Decision.NOT_SENT:
        if not known["is_stuck"]:
            raise NotStuck(f"The mail may still turn up: it is looked for until {known['stuck_at'].isoformat()}.")
        if (proof := await repository.find_proof(session, workspace.id, draft_id)) is not None:
            raise OutcomeKnown(f"Everlytic took this mail: {proof}.")
    settlement = await repository.add_settlement(
        session,
        workspace_id=workspace.id,
        draft_id=draft_id,
        decision=decision,
        note=note,
        decided_by=str(by),
        decided_at=now,
        evidence=_kept(known),
    )
    if decision is Decision.SENT:
        await sending.accept(session, workspace.id, [Acceptance(draft_id, None, now)])
    else:
        await sending.not_called(session, workspace.id, draft_id, now)
    return settlement


def _require_unknown(attempt: SendAttempt | None) -> None:
    """Raise NotFound where nobody tried, and OutcomeKnown where it is known how that ended."""
    if attempt is None:
        raise NotFound("There is no send of unknown outcome of such a draft.")
    match SendOutcome(attempt.outcome):
        case SendOutcome.CLAIMED:
            raise OutcomeKnown("The mail is being sent at this moment; its outcome is known when that has ended.")
        case SendOutcome.ACCEPTED:
            name = f" as transaction {attempt.everlytic_transaction_id}" if attempt.everlytic_transaction_id else ""
            raise OutcomeKnown(f"It is known by now that the mail was sent: Everlytic took it{name}.")
        case SendOutcome.REJECTED:
            raise OutcomeKnown(f"It is known by now that Everlytic refused the mail: {attempt.error}.")
        case SendOutcome.UNKNOWN:
            return


def _kept(known: dict[str, Any]) -> dict[str, Any]:
    """Return the evidence as it is kept: without whom the mail was for and what it said, which can be erased."""
    return UnknownSendOut.of(known).model_dump(
        mode="json", by_alias=True, exclude={"recipient", "subject", "error", "look_up_error", "settlements"}
    )


async def claim_again(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID], now: datetime) -> None:
    """Claim mails that Everlytic tells of although their claim was taken back, so that they are never sent again.

    `draft_ids` are all that the transaction is about to accept; those that are claimed stay as they are.
    """
    await repository.claim_again(session, workspace_id, draft_ids, PROVED_LATE, now)


@dataclass(frozen=True, slots=True)
class LookUp:
    """A send to be looked for: with which connection, or what keeps it from being looked for."""

    search: Search
    looks: int
    """How often Everlytic was asked in vain."""
    connection: EverlyticConnection | None
    held_by: str | None


async def to_look_up(session: AsyncSession, workspace_id: UUID, draft_id: UUID, first: timedelta) -> LookUp | None:
    """Return what to look for, or None when the outcome is known by now."""
    attempt = await repository.find_attempt(session, workspace_id, draft_id)
    if attempt is None or attempt.outcome != SendOutcome.UNKNOWN:
        return None
    search = _search(await workspaces.find_workspace(session, workspace_id), attempt.claimed_at, first)
    try:
        connection = await workspaces.find_connection(session, workspace_id)
    except NotFound:
        return LookUp(search, attempt.look_ups, None, "the workspace has no Everlytic connection")
    disabled = f"the Everlytic connection is disabled: {connection.disabled_reason}" if connection.disabled_at else None
    return LookUp(search, attempt.look_ups, connection, disabled)


async def looked_in_vain(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> None:
    """Note that Everlytic's transaction list does not show a send."""
    await repository.note_look_up(session, workspace_id, draft_id, now)


async def find_lost(session: AsyncSession, workspace_id: UUID, now: datetime) -> Sequence[UUID]:
    """Return drafts that were claimed long ago and that nobody is sending, some at a time."""
    before = now - LOST_AFTER
    return await repository.lost_claims(session, workspace_id, SEND_EMAIL, claimed_before=before, most=MOST_AT_ONCE)


async def lost(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> None:
    """Take a claim for lost: its outcome is unknown and is looked up."""
    await sending.unknown(session, workspace_id, draft_id, LOST, now)


async def take_up(session: AsyncSession, workspace_id: UUID, now: datetime) -> None:
    """Put on the queue again what no job waits for: sends to be looked up, and drafts to be written or sent."""
    workspace = await workspaces.find_workspace(session, workspace_id)
    after = now - timedelta(hours=workspace.unknown_wait_hours)
    unwatched = await repository.unwatched(session, workspace_id, RECONCILE_SEND, claimed_after=after)
    look_ups = [jobs.Job(now, {"draftId": str(draft_id)}) for draft_id in unwatched]
    await jobs.enqueue(session, RECONCILE_SEND, workspace_id, look_ups)
    try:
        connection = await workspaces.find_connection(session, workspace_id)
    except NotFound:
        return
    if connection.disabled_at is not None:
        return  # Whoever connects the workspace again has everything taken up.
    for sequence_id in await repository.sequences_with_forgotten(
        session, workspace_id, send_job=SEND_EMAIL, draft_job=GENERATE_DRAFT, now=now
    ):
        await sending.resume(session, workspace_id, sequence_id=sequence_id, enrollment_ids=None, now=now)
