"""The SQL of turns: those that mails made use of, and those kept for them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import case, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from database.models import JobStatus, ScheduledJob, SendAttempt, SendSlot
from domain.pace import Rate

_TAKE_TURNS = text(
    """
    WITH given_up AS (
      DELETE FROM app.send_slots
       WHERE workspace_id = :workspace_id AND (at < :forgotten OR draft_id = ANY(CAST(:given_up AS uuid[])))
         AND draft_id <> ALL(CAST(:draft_ids AS uuid[]))
    )
    INSERT INTO app.send_slots (workspace_id, draft_id, domain, at, made)
    SELECT :workspace_id, turn.*
      FROM unnest(CAST(:draft_ids AS uuid[]), CAST(:domains AS text[]), CAST(:ats AS timestamptz[]),
                  CAST(:made AS boolean[])) AS turn (draft_id, domain, at, made)
    ON CONFLICT (draft_id) DO UPDATE SET at = excluded.at, made = excluded.made
    """
)


# Those without a turn that will be asked before a job of the workspace, in the order in which they will be.
_ASKED_BEFORE = text(
    """
    SELECT (payload ->> 'draftId')::uuid AS draft_id, greatest(run_at, :now) AS asked_at
      FROM app.scheduled_jobs
     WHERE workspace_id = :workspace_id AND job_type = :job_type AND status = 'pending'
       AND (run_at, id) < (CAST(:run_at AS timestamptz), CAST(:job_id AS uuid))
       AND NOT EXISTS (
         SELECT FROM app.send_slots AS slot
          WHERE slot.draft_id = (payload ->> 'draftId')::uuid AND slot.at >= :late AND NOT slot.made)
     ORDER BY run_at, id
    """
)


_KEPT = text(
    """
    SELECT draft_id, domain, at FROM app.send_slots
     WHERE workspace_id = :workspace_id AND draft_id = ANY(CAST(:draft_ids AS uuid[])) AND at >= :since AND NOT made
    """
)

QUARTER = 900
_QUARTERS = text(
    """
    SELECT floor(extract(epoch FROM at) / :seconds)::bigint AS quarter, count(*) AS number
      FROM app.send_slots
     WHERE workspace_id = :workspace_id AND at >= :since AND NOT made
     GROUP BY quarter
    """
)

# A line of full stretches is one row, however long it is.
_STRETCHES = text(
    """
    WITH taken AS (
      SELECT floor(extract(epoch FROM at) * 1000000 * :per_minute / :microseconds)::bigint AS stretch,
             count(*) AS number
        FROM app.send_slots
       WHERE workspace_id = :workspace_id AND at >= CASE WHEN made THEN CAST(:made_since AS timestamptz)
                                                         ELSE CAST(:kept_since AS timestamptz) END
       GROUP BY stretch
    ),
    filled AS (
      SELECT stretch, stretch - row_number() OVER (ORDER BY stretch) AS line FROM taken WHERE number >= :each
    )
    SELECT min(stretch) AS first, max(stretch) AS last, CAST(:each AS bigint) AS number FROM filled GROUP BY line
    UNION ALL
    SELECT stretch, stretch, number FROM taken WHERE number < :each
    """
)


@dataclass(frozen=True, slots=True)
class Turn:
    """When a mail to a domain leaves, or has left where it is `made`."""

    domain: str
    at: datetime
    made: bool


async def kept_for(
    session: AsyncSession, workspace_id: UUID, draft_ids: Collection[UUID], since: datetime
) -> dict[UUID, Turn]:
    """Return the turns that are kept for drafts from a time on."""
    rows = await session.execute(_KEPT, {"workspace_id": workspace_id, "draft_ids": list(draft_ids), "since": since})
    return {row.draft_id: Turn(row.domain, row.at.astimezone(UTC), made=False) for row in rows}


async def kept_by_quarter(session: AsyncSession, workspace_id: UUID, since: datetime) -> dict[datetime, int]:
    """Return how many turns are kept from a time on, by the quarter of an hour: every zone's day is made of them."""
    rows = await session.execute(_QUARTERS, {"workspace_id": workspace_id, "since": since, "seconds": QUARTER})
    return {datetime.fromtimestamp(row.quarter * QUARTER, UTC): row.number for row in rows}


async def taken_by_stretch(
    session: AsyncSession, workspace_id: UUID, rate: Rate, *, kept_since: datetime, made_since: datetime
) -> dict[int, int]:
    """Return how many turns, kept or made use of, lie in each stretch of a rate."""
    parameters = {
        "workspace_id": workspace_id,
        "kept_since": kept_since,
        "made_since": made_since,
        "per_minute": rate.per_minute,
        "microseconds": rate.microseconds,
        "each": rate.each,
    }
    taken: dict[int, int] = {}
    for row in (await session.execute(_STRETCHES, parameters)).all():
        taken.update(dict.fromkeys(range(int(row.first), int(row.last) + 1), int(row.number)))
    return taken


async def made_since(session: AsyncSession, workspace_id: UUID, since: datetime) -> int:
    """Return how many turns were made use of since a time."""
    counted = select(func.count()).where(
        SendSlot.workspace_id == workspace_id, SendSlot.at >= since, SendSlot.made.is_(True)
    )
    return await session.scalar(counted) or 0


async def near(
    session: AsyncSession,
    workspace_id: UUID,
    domains: Collection[str],
    *,
    kept_since: datetime,
    made_since: datetime,
) -> list[Turn]:
    """Return the turns, kept or made use of, of mails to domains."""
    statement = select(SendSlot.domain, SendSlot.at, SendSlot.made).where(
        SendSlot.workspace_id == workspace_id,
        SendSlot.domain.in_(domains),
        SendSlot.at >= case((SendSlot.made, made_since), else_=kept_since),
    )
    return [Turn(row.domain, row.at.astimezone(UTC), row.made) for row in await session.execute(statement)]


async def take_turns(
    session: AsyncSession, workspace_id: UUID, turns: Mapping[UUID, Turn | None], *, forgotten: datetime
) -> None:
    """Write drafts' turns, None for one given up; what is older than `forgotten` holds nobody back any more."""
    taken = {draft_id: turn for draft_id, turn in turns.items() if turn is not None}
    parameters = {
        "workspace_id": workspace_id,
        "given_up": [draft_id for draft_id, turn in turns.items() if turn is None],
        "forgotten": forgotten,
        "draft_ids": [*taken],
        "domains": [turn.domain for turn in taken.values()],
        "ats": [turn.at for turn in taken.values()],
        "made": [turn.made for turn in taken.values()],
    }
    await session.execute(_TAKE_TURNS, parameters)


async def claimed_since(session: AsyncSession, workspace_id: UUID, start: datetime) -> int:
    """Return how many sends the workspace has claimed since `start`."""
    counted = select(func.count()).where(SendAttempt.workspace_id == workspace_id, SendAttempt.claimed_at >= start)
    return await session.scalar(counted) or 0


async def find_job(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, job_type: str
) -> tuple[UUID, datetime] | None:
    """Return (id, run at) of the job that will send a draft or is about to; None if nobody will ask."""
    statement = (
        select(ScheduledJob.id, ScheduledJob.run_at)
        .where(
            ScheduledJob.workspace_id == workspace_id,
            ScheduledJob.job_type == job_type,
            ScheduledJob.status.in_((JobStatus.PENDING, JobStatus.RUNNING)),
            ScheduledJob.payload["draftId"].astext == str(draft_id),
        )
        .order_by(ScheduledJob.run_at)
        .limit(1)
    )
    row = (await session.execute(statement)).one_or_none()
    return (row.id, row.run_at) if row else None


async def asked_before(
    session: AsyncSession,
    workspace_id: UUID,
    job_type: str,
    job: tuple[UUID, datetime],
    *,
    now: datetime,
    late: datetime,
) -> dict[UUID, datetime]:
    """Return the drafts without a turn whose jobs ask before a job, each with when it asks, in that order."""
    job_id, run_at = job
    parameters = {"workspace_id": workspace_id, "job_type": job_type, "run_at": run_at, "job_id": job_id}
    rows = await session.execute(_ASKED_BEFORE, {**parameters, "now": now, "late": late})
    return {row.draft_id: row.asked_at for row in rows}
