"""Whose turn it is in a workspace's pace: turns that mails made use of, and turns kept for those to come."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.slots import repository
from api.delivery.slots.repository import Turn
from api.outreach.enrollments.service import holidays_of
from database.models import Workspace
from domain.pace import DailyCap, Pace, Ramp, Rate, Turns
from domain.schedule import Rule, to_utc

LATE = timedelta(minutes=1)
"""How long a turn is kept for a mail that does not come; after an outage those that missed theirs take new ones."""


def pace_of(workspace: Workspace) -> Pace:
    """Return the limits that a workspace sends by."""
    cap = rate = gap = None
    if workspace.daily_cap is not None:
        weekdays, is_holiday = workspace.sending_weekdays, holidays_of(workspace.holidays_country)
        cap = DailyCap(
            workspace.daily_cap,
            _ramp_of(workspace),
            lambda day: day.weekday() in weekdays and not is_holiday(day),
        )
    if workspace.sends_per_minute is not None:
        rate = Rate(workspace.sends_per_minute)
    if workspace.domain_gap_seconds is not None:
        gap = timedelta(seconds=workspace.domain_gap_seconds)
    return Pace(ZoneInfo(workspace.timezone), cap, rate, gap)


def _ramp_of(workspace: Workspace) -> Ramp | None:
    start, first, step = workspace.ramp_start, workspace.ramp_from, workspace.ramp_step
    return None if start is None or first is None or step is None else Ramp(start, first, step)


async def read_places(
    session: AsyncSession, workspace: Workspace, now: datetime, mails: Mapping[UUID, str]
) -> "Places":
    """Return whose turn it is, as far as `mails` (draft, recipient's domain) must know.

    Exact where the workspace is held to send, so that claims take turns.
    """
    pace, late = pace_of(workspace), now - LATE
    if not pace.is_limited:
        return Places(pace, {}, Turns(pace), Turns(pace))
    kept = await repository.kept_for(session, workspace.id, mails.keys(), late)
    made_days, promised_days = Counter[date](), Counter[date]()
    if pace.cap is not None:
        made_days[pace.day(now)] = await repository.claimed_since(session, workspace.id, _start_of_day(pace, now))
        promised_days.update(made_days)
        for quarter, number in (await repository.kept_by_quarter(session, workspace.id, late)).items():
            promised_days[pace.day(quarter)] += number
    made_stretches, promised_stretches = dict[int, int](), dict[int, int]()
    if pace.rate is not None:
        stretch = pace.rate.stretch(now)
        begins = pace.rate.begins(stretch)
        made_stretches[stretch] = await repository.made_since(session, workspace.id, begins)
        promised_stretches = await repository.taken_by_stretch(
            session, workspace.id, pace.rate, kept_since=late, made_since=begins
        )
    near: list[Turn] = []
    if pace.gap is not None:
        near = await repository.near(
            session, workspace.id, set(mails.values()), kept_since=late, made_since=now - pace.gap
        )
    made = Turns(pace, made_days, made_stretches, [(one.at, one.domain) for one in near if one.made])
    promised = Turns(pace, promised_days, promised_stretches, [(one.at, one.domain) for one in near])
    return Places(pace, kept, made, promised)


async def find_job(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, job_type: str
) -> tuple[UUID, datetime] | None:
    """Return (id, run at) of the job that will ask for a draft or is about to; None if nobody will."""
    return await repository.find_job(session, workspace_id, draft_id, job_type)


async def asked_before(
    session: AsyncSession, workspace: Workspace, job_type: str, job: tuple[UUID, datetime], now: datetime
) -> dict[UUID, datetime]:
    """Return the drafts without a turn whose jobs ask before a job, each with when it asks, in that order.

    There are none where the workspace has no limits: nobody waits for another.
    """
    if not pace_of(workspace).is_limited:
        return {}
    return await repository.asked_before(session, workspace.id, job_type, job, now=now, late=now - LATE)


async def write_places(session: AsyncSession, workspace_id: UUID, places: "Places", now: datetime) -> None:
    """Write what a claim has changed."""
    if places.changes:
        forgotten = now - _looks_back(places.pace)
        await repository.take_turns(session, workspace_id, places.changes, forgotten=forgotten)


def _start_of_day(pace: Pace, now: datetime) -> datetime:
    """Return when the workspace's day of `now` began (UTC)."""
    return to_utc(pace.day(now), time(0), pace.zone)


def _looks_back(pace: Pace) -> timedelta:
    """Return for how long a turn that was made use of may hold back another, the day's cap aside."""
    return max(pace.gap or timedelta(), LATE)


class Places:
    """The turns of a workspace as a claim finds them under its lock, and what the claim changes in them.

    A mail that comes on time has its kept turn, whatever was promised to others; only what has left counts against it.
    A mail without one, or one that missed its own by `LATE`, takes the first that nobody else was promised.
    """

    def __init__(self, pace: Pace, kept: Mapping[UUID, Turn], made: Turns, promised: Turns) -> None:
        """`made`: what has left; `promised`: that, and all turns that are kept, those of `kept` included."""
        self.changes: dict[UUID, Turn | None] = {}
        """What is to be written: each draft's turn, None where it gave it up."""
        self.pace = pace
        self._kept, self._made, self._promised = dict(kept), made, promised

    def turn_of(self, draft_id: UUID) -> datetime | None:
        """Return when it is a draft's turn, None where it has none."""
        turn = self._kept.get(draft_id)
        return turn.at if turn else None

    def rules_for(self, draft_id: UUID, domain: str) -> list[Rule]:
        """Return the pace's rules for a draft to a domain."""
        return (self._made if draft_id in self._kept else self._promised).rules(domain)

    def use(self, draft_id: UUID, domain: str, now: datetime) -> None:
        """Let a draft leave now."""
        if self.turn_of(draft_id) == now:
            del self._kept[draft_id]
            self.changes[draft_id] = None
        else:
            self.give_up(draft_id)
            self._promised.take(now, domain)
        self._made.take(now, domain)
        # What the day's cap counts are the claims themselves.
        if self.pace.rate is not None or self.pace.gap is not None:
            self.changes[draft_id] = Turn(domain, now, made=True)

    def keep(self, draft_id: UUID, domain: str, at: datetime) -> None:
        """Keep a turn for a draft."""
        self._drop(draft_id)
        if self.pace.is_limited:
            turn = self.changes[draft_id] = self._kept[draft_id] = Turn(domain, at, made=False)
            self._promised.take(turn.at, domain)

    def put_back(self, draft_id: UUID, domain: str, now: datetime, at: datetime) -> None:
        """Let a draft leave at `at` that was to leave now."""
        for turns in (self._made, self._promised):
            turns.take(now, domain, -1)
        self.keep(draft_id, domain, at)

    def give_up(self, draft_id: UUID) -> None:
        """Give a draft's turn, if it has one, to whoever comes next."""
        if self._drop(draft_id):
            self.changes[draft_id] = None

    def _drop(self, draft_id: UUID) -> bool:
        turn = self._kept.pop(draft_id, None)
        if turn is not None:
            self._promised.take(turn.at, turn.domain, -1)
        return turn is not None
