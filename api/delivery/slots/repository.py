"""The SQL of send slots: the slots that mails have used, and the slots reserved for waiting mails."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import case, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from database.models import JobStatus, ScheduledJob, SendAttempt, SendSlot
from domain.send_limits import RateLimit

# Needs no row locks: with limits, the claim has locked the workspace, so it is the only one that writes its slots.
_WRITE_SLOTS = text(
    """
    WITH released AS (
      DELETE FROM app.send_slots
       WHERE workspace_id = :workspace_id AND (at < :expired_before OR draft_id = ANY(CAST(:released_ids AS uuid[])))
         AND draft_id <> ALL(CAST(:draft_ids AS uuid[]))
    )
    INSERT INTO app.send_slots (workspace_id, draft_id, domain, at, is_used)
    SELECT :workspace_id, slot.*
      FROM unnest(CAST(:draft_ids AS uuid[]), CAST(:domains AS text[]), CAST(:ats AS timestamptz[]),
                  CAST(:used AS boolean[])) AS slot (draft_id, domain, at, used)
    ON CONFLICT (draft_id) DO UPDATE SET domain = excluded.domain, at = excluded.at, is_used = excluded.is_used
    """
)


# The pending jobs that run before a given job and whose drafts have no reserved slot, in the order in which they run.
_EARLIER_JOBS = text(
    """
    SELECT (payload ->> 'draftId')::uuid AS draft_id, greatest(run_at, :now) AS runs_at
      FROM app.scheduled_jobs
     WHERE workspace_id = :workspace_id AND job_type = :job_type AND status = 'pending'
       AND (run_at, id) < (CAST(:run_at AS timestamptz), CAST(:job_id AS uuid))
       AND NOT EXISTS (
         SELECT FROM app.send_slots AS slot
          WHERE slot.draft_id = (payload ->> 'draftId')::uuid AND slot.at >= :reserved_since AND NOT slot.is_used)
     ORDER BY run_at, id
    """
)


_RESERVED_SLOTS = text(
    """
    SELECT draft_id, domain, at FROM app.send_slots
     WHERE workspace_id = :workspace_id AND draft_id = ANY(CAST(:draft_ids AS uuid[])) AND at >= :since AND NOT is_used
    """
)

BUCKET_SECONDS = 900
"""A bucket is 15 minutes: the UTC offset of every time zone is a multiple of it, so no bucket spans two local days."""
_RESERVED_PER_BUCKET = text(
    """
    SELECT floor(extract(epoch FROM at) / :seconds)::bigint AS bucket, count(*) AS slots
      FROM app.send_slots
     WHERE workspace_id = :workspace_id AND at >= :since AND NOT is_used
     GROUP BY bucket
    """
)

# A run of consecutive full rate windows comes back as one row, so a long queue does not return a row for each window.
# Within a run, the window number minus its row number is constant; that difference groups the run.
_TAKEN_PER_RATE_WINDOW = text(
    """
    WITH taken AS (
      SELECT floor(extract(epoch FROM at) * 1000000 * :per_minute / :microseconds)::bigint AS rate_window,
             count(*) AS slots
        FROM app.send_slots
       WHERE workspace_id = :workspace_id AND at >= CASE WHEN is_used THEN CAST(:used_since AS timestamptz)
                                                         ELSE CAST(:reserved_since AS timestamptz) END
       GROUP BY rate_window
    ),
    full_windows AS (
      SELECT rate_window, rate_window - row_number() OVER (ORDER BY rate_window) AS run
        FROM taken WHERE slots >= :capacity
    )
    SELECT min(rate_window) AS first, max(rate_window) AS last, CAST(:capacity AS bigint) AS slots
      FROM full_windows GROUP BY run
    UNION ALL
    SELECT rate_window, rate_window, slots FROM taken WHERE slots < :capacity
    """
)


@dataclass(frozen=True, slots=True)
class Slot:
    """The moment at which a mail to a domain may leave, or has left when `is_used` is true."""

    domain: str
    at: datetime
    is_used: bool


async def find_reserved_slots(
    session: AsyncSession, workspace_id: UUID, draft_ids: Collection[UUID], since: datetime
) -> dict[UUID, Slot]:
    """Return the slots reserved for drafts at or after `since`."""
    parameters = {"workspace_id": workspace_id, "draft_ids": list(draft_ids), "since": since}
    rows = await session.execute(_RESERVED_SLOTS, parameters)
    return {row.draft_id: Slot(row.domain, row.at.astimezone(UTC), is_used=False) for row in rows}


async def count_reserved_by_bucket(session: AsyncSession, workspace_id: UUID, since: datetime) -> dict[datetime, int]:
    """Return how many slots are reserved at or after `since`, by the start of their bucket."""
    parameters = {"workspace_id": workspace_id, "since": since, "seconds": BUCKET_SECONDS}
    rows = await session.execute(_RESERVED_PER_BUCKET, parameters)
    return {datetime.fromtimestamp(row.bucket * BUCKET_SECONDS, UTC): row.slots for row in rows}


async def count_taken_by_rate_window(
    session: AsyncSession, workspace_id: UUID, rate: RateLimit, *, reserved_since: datetime, used_since: datetime
) -> dict[int, int]:
    """Return how many slots, reserved or used, are taken in each rate window; a full window counts its capacity."""
    parameters = {
        "workspace_id": workspace_id,
        "reserved_since": reserved_since,
        "used_since": used_since,
        "per_minute": rate.per_minute,
        "microseconds": rate.microseconds,
        "capacity": rate.window_capacity,
    }
    taken: dict[int, int] = {}
    for row in (await session.execute(_TAKEN_PER_RATE_WINDOW, parameters)).all():
        taken.update(dict.fromkeys(range(int(row.first), int(row.last) + 1), int(row.slots)))
    return taken


async def count_used_since(session: AsyncSession, workspace_id: UUID, since: datetime) -> int:
    """Return how many slots were used at or after `since`."""
    used = select(func.count()).where(
        SendSlot.workspace_id == workspace_id, SendSlot.at >= since, SendSlot.is_used.is_(True)
    )
    return await session.scalar(used) or 0


async def list_slots_of_domains(
    session: AsyncSession,
    workspace_id: UUID,
    domains: Collection[str],
    *,
    reserved_since: datetime,
    used_since: datetime,
) -> list[Slot]:
    """Return the slots, reserved or used, of mails to these domains."""
    statement = select(SendSlot.domain, SendSlot.at, SendSlot.is_used).where(
        SendSlot.workspace_id == workspace_id,
        SendSlot.domain.in_(domains),
        SendSlot.at >= case((SendSlot.is_used, used_since), else_=reserved_since),
    )
    return [Slot(row.domain, row.at.astimezone(UTC), row.is_used) for row in await session.execute(statement)]


async def write_slots(
    session: AsyncSession, workspace_id: UUID, slots: Mapping[UUID, Slot | None], *, expired_before: datetime
) -> None:
    """Write the slots of drafts, None for a released slot; slots before `expired_before` are deleted."""
    taken = {draft_id: slot for draft_id, slot in slots.items() if slot is not None}
    parameters = {
        "workspace_id": workspace_id,
        "released_ids": [draft_id for draft_id, slot in slots.items() if slot is None],
        "expired_before": expired_before,
        "draft_ids": [*taken],
        "domains": [slot.domain for slot in taken.values()],
        "ats": [slot.at for slot in taken.values()],
        "used": [slot.is_used for slot in taken.values()],
    }
    await session.execute(_WRITE_SLOTS, parameters)


async def count_claims_since(session: AsyncSession, workspace_id: UUID, start: datetime) -> int:
    """Return how many sends the workspace has claimed since `start`."""
    claims = select(func.count()).where(SendAttempt.workspace_id == workspace_id, SendAttempt.claimed_at >= start)
    return await session.scalar(claims) or 0


async def find_send_job(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, job_type: str
) -> tuple[UUID, datetime] | None:
    """Return (id, run at) of the pending or running job that sends a draft; None if there is no such job."""
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


async def list_earlier_jobs(
    session: AsyncSession,
    workspace_id: UUID,
    job_type: str,
    job: tuple[UUID, datetime],
    *,
    now: datetime,
    reserved_since: datetime,
) -> dict[UUID, datetime]:
    """Return the drafts without a reserved slot whose jobs run before `job`, with when they run, in that order."""
    job_id, run_at = job
    parameters = {"workspace_id": workspace_id, "job_type": job_type, "run_at": run_at, "job_id": job_id}
    rows = await session.execute(_EARLIER_JOBS, {**parameters, "now": now, "reserved_since": reserved_since})
    return {row.draft_id: row.runs_at for row in rows}
