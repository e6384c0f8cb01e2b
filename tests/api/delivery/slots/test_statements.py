"""Each statement of turns beside rows that differ in one condition, and what a claim makes of the turns it reads."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.slots import repository, service
from api.delivery.slots.repository import Turn
from api.delivery.slots.service import Places
from database.models import JobStatus, Workspace
from domain.job import OPEN
from domain.pace import DailyCap, Pace, Rate, Turns
from domain.schedule import sending_time
from tests.acting import insert_row
from tests.comparing import compared
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

SLOTS, JOBS = "app.send_slots", "app.scheduled_jobs"
TICK, SECOND, MINUTE, HOUR = timedelta(microseconds=1), timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
A, B, C = "a.example", "b.example", "c.example"
DEADLINE = NOW - MINUTE
"""Up to when a turn that was missed is still kept for its mail."""


@pytest.fixture
def workspaces(two_workspaces: TwoWorkspaces) -> TwoWorkspaces:
    """Two workspaces, that of the test without turns, claims and jobs."""
    for table in (SLOTS, "app.send_attempts", JOBS):
        two_workspaces.owner.execute(f"DELETE FROM {table} WHERE workspace_id = %s".encode(), [two_workspaces.id])
    return two_workspaces


def add_turn(workspaces: TwoWorkspaces, at: datetime, *, made: bool = False, domain: str = A) -> UUID:
    """Insert a draft with a turn."""
    draft_id = workspaces.add_draft()
    insert_row(workspaces, SLOTS, draft_id=draft_id, at=at, made=made, domain=domain)
    return draft_id


async def read_places(session: AsyncSession, workspaces: TwoWorkspaces, mails: dict[UUID, str]) -> Places:
    """Read whose turn it is as a claim does."""
    workspace = await session.get_one(Workspace, workspaces.id)
    return await service.read_places(session, workspace, NOW, mails)


def first_time(places: Places, draft_id: UUID, domain: str, at: datetime = NOW) -> datetime:
    """Return when a mail may leave by the pace alone."""
    return sending_time(at, places.rules_for(draft_id, domain)).at


async def test_turns_are_read_from_a_time_on(workspaces: TwoWorkspaces) -> None:
    """A turn is kept for the draft asked about, from the time on; one before it, or that was made use of, is not."""
    kept, other = add_turn(workspaces, NOW, domain=B), add_turn(workspaces, NOW)
    early, made = add_turn(workspaces, NOW - TICK), add_turn(workspaces, NOW, made=True)
    quarter = NOW - timedelta(minutes=NOW.minute % 15, seconds=NOW.second, microseconds=NOW.microsecond)
    add_turn(workspaces, quarter + timedelta(minutes=15))
    for at in (NOW, NOW - TICK):
        workspaces.add("app.send_attempts", draft_id=workspaces.add_draft(), claimed_at=at)

    async def read(session: AsyncSession) -> list[Any]:
        return [
            await repository.kept_for(session, workspaces.id, [kept, early, made], NOW),
            await repository.kept_by_quarter(session, workspaces.id, NOW),
            await repository.made_since(session, workspaces.id, NOW),
            await repository.made_since(session, workspaces.id, NOW + TICK),
            await repository.claimed_since(session, workspaces.id, NOW),
        ]

    assert (await compared(workspaces, read)).result == [
        {kept: Turn(B, NOW, made=False)},
        {quarter: 2, quarter + timedelta(minutes=15): 1},
        1,
        0,
        1,
    ]
    assert other != kept


async def test_turns_to_a_domain_count_from_their_own_times_on(workspaces: TwoWorkspaces) -> None:
    """Kept turns count from one time on, used ones from another, and of other domains none."""
    kept_since, made_since = NOW, NOW - MINUTE
    for made, since in ((False, kept_since), (True, made_since)):
        for at in (since, since - TICK):
            add_turn(workspaces, at, made=made)
    add_turn(workspaces, NOW, domain=B)
    add_turn(workspaces, NOW, domain=C)
    found = await compared(
        workspaces,
        lambda session: repository.near(session, workspaces.id, [A, B], kept_since=kept_since, made_since=made_since),
    )
    assert sorted(found.result, key=lambda turn: (turn.at, turn.domain)) == [
        Turn(A, made_since, made=True), Turn(A, kept_since, made=False), Turn(B, NOW, made=False)
    ]  # fmt: skip


async def test_a_stretch_counts_at_most_what_it_takes(workspaces: TwoWorkspaces) -> None:
    """Each stretch says how many of its turns are taken, a full one no more than it takes, and an empty one nothing."""
    rate = Rate(120)
    assert (rate.each, rate.begins(rate.stretch(NOW))) == (2, NOW)
    for seconds, number in ((0, 1), (1, 2), (2, 3), (5, 2), (6, 1)):
        for _ in range(number):
            add_turn(workspaces, NOW + seconds * SECOND)
    add_turn(workspaces, NOW - TICK)  # before the time from which turns are kept
    for at in (NOW - 3 * SECOND, NOW - 3 * SECOND - TICK):
        add_turn(workspaces, at, made=True)
    first = rate.stretch(NOW)
    taken = await compared(
        workspaces,
        lambda session: repository.taken_by_stretch(
            session, workspaces.id, rate, kept_since=NOW, made_since=NOW - 3 * SECOND
        ),
    )
    assert taken.result == {first - 3: 1, first: 1, first + 1: 2, first + 2: 2, first + 5: 2, first + 6: 1}


async def test_only_turns_of_the_claim_and_forgotten_ones_are_written(workspaces: TwoWorkspaces) -> None:
    """A claim writes the turns it takes and deletes those it gave up or that are older than a time; others stay."""
    forgotten, given_up = add_turn(workspaces, NOW - TICK), add_turn(workspaces, NOW)
    add_turn(workspaces, NOW)
    renewed, fresh = add_turn(workspaces, NOW - HOUR), workspaces.add_draft()
    turns = {given_up: None, renewed: Turn(A, NOW + HOUR, made=False), fresh: Turn(B, NOW, made=True)}
    done = await compared(
        workspaces, lambda session: repository.take_turns(session, workspaces.id, turns, forgotten=NOW)
    )
    assert done.rows == {SLOTS: {forgotten, given_up, renewed, fresh}}
    assert done.changes[SLOTS][str(renewed)].keys() == {"at"}
    left = workspaces.owner.execute("SELECT domain, at, made FROM app.send_slots WHERE draft_id = %s", [fresh])
    assert left.fetchall() == [(B, NOW, True)]


@pytest.mark.parametrize(("gap", "looks_back"), [(None, MINUTE), (30, MINUTE), (600, 10 * MINUTE)])
async def test_turns_are_forgotten_once_they_hold_nothing(
    workspaces: TwoWorkspaces, gap: int | None, looks_back: timedelta
) -> None:
    """A turn is deleted when it is older than the gap, or than the minute for which a missed one is kept."""
    workspaces.set("app.workspaces", workspaces.id, sends_per_minute=60, domain_gap_seconds=gap)
    add_turn(workspaces, NOW - looks_back)
    old, fresh = add_turn(workspaces, NOW - looks_back - TICK), workspaces.add_draft()

    async def write(session: AsyncSession) -> None:
        places = await read_places(session, workspaces, {fresh: C})
        await service.write_places(session, workspaces.id, places, NOW)
        places.use(fresh, C, NOW)
        await service.write_places(session, workspaces.id, places, NOW)

    done = await compared(workspaces, write)
    assert done.rows == {SLOTS: {old, fresh}}


def add_job(workspaces: TwoWorkspaces, draft_id: UUID, at: datetime, **values: Any) -> UUID:
    """Insert a job to send a draft."""
    payload = Jsonb({"draftId": str(draft_id)})
    usual: dict[str, Any] = {"job_type": "send_email", "run_at": at, "payload": payload}
    return workspaces.add(JOBS, **usual | values)


async def test_the_job_of_a_draft_is_its_first_open_one(workspaces: TwoWorkspaces) -> None:
    """The job that will ask is the earliest open one of the type about the draft, and there may be none."""
    draft_id, other, running = (workspaces.add_draft() for _ in range(3))
    for status in JobStatus:
        if status not in OPEN:
            add_job(workspaces, draft_id, NOW, status=status)
    add_job(workspaces, draft_id, NOW, job_type="generate_draft")
    add_job(workspaces, other, NOW)
    add_job(workspaces, draft_id, NOW + HOUR)
    first = add_job(workspaces, draft_id, NOW + MINUTE)
    runs = add_job(workspaces, running, NOW, status="running")

    async def read(session: AsyncSession) -> list[Any]:
        ids = (draft_id, running, UUID(int=1))
        return [await service.find_job(session, workspaces.id, id_, "send_email") for id_ in ids]

    assert (await compared(workspaces, read)).result == [(first, NOW + MINUTE), (runs, NOW), None]


async def test_who_asks_before_a_job(workspaces: TwoWorkspaces) -> None:
    """Drafts without a turn whose jobs run earlier ask first, in the order of time and id, none before now."""
    workspaces.set("app.workspaces", workspaces.id, daily_cap=1)
    at = NOW + HOUR
    late, second, first, itself, later = (workspaces.add_draft() for _ in range(5))
    job_id, ids = UUID(int=50), {first: UUID(int=10), second: UUID(int=20), later: UUID(int=60)}
    for draft_id in (later, second, first):
        add_job(workspaces, draft_id, at, id=ids[draft_id])
    add_job(workspaces, itself, at, id=job_id)
    add_job(workspaces, late, NOW - HOUR)
    add_job(workspaces, workspaces.add_draft(), NOW, status="running")
    add_job(workspaces, workspaces.add_draft(), NOW, job_type="generate_draft")
    add_job(workspaces, workspaces.add_draft(), at + TICK)
    add_job(workspaces, add_turn(workspaces, DEADLINE), NOW)
    missed, made = add_turn(workspaces, DEADLINE - TICK), add_turn(workspaces, NOW, made=True)
    for draft_id, seconds in ((missed, 1), (made, 2)):
        add_job(workspaces, draft_id, NOW + seconds * SECOND)

    async def read(session: AsyncSession) -> list[tuple[UUID, datetime]]:
        workspace = await session.get_one(Workspace, workspaces.id)
        asked = await service.asked_before(session, workspace, "send_email", (job_id, at), NOW)
        return list(asked.items())

    assert (await compared(workspaces, read)).result == [
        (late, NOW), (missed, NOW + SECOND), (made, NOW + 2 * SECOND), (first, at), (second, at)
    ]  # fmt: skip
    workspaces.set("app.workspaces", workspaces.id, daily_cap=None)
    assert (await compared(workspaces, read)).result == []


async def test_a_day_counts_its_claims_and_the_turns_kept_on_it(workspaces: TwoWorkspaces) -> None:
    """Claims since the workspace's day began count for all, kept turns for those without one of their own."""
    workspaces.set("app.workspaces", workspaces.id, timezone="America/New_York", daily_cap=3)
    begins = datetime(2026, 3, 4, 5, tzinfo=NOW.tzinfo)
    tomorrow = begins + timedelta(days=1)
    for at in (begins, begins - TICK):
        workspaces.add("app.send_attempts", draft_id=workspaces.add_draft(), claimed_at=at)
    kept, missed = add_turn(workspaces, DEADLINE), add_turn(workspaces, DEADLINE - TICK)
    add_turn(workspaces, tomorrow - TICK)
    for _ in range(2):
        add_turn(workspaces, tomorrow)
    fresh = workspaces.add_draft()

    async def read(session: AsyncSession) -> Places:
        return await read_places(session, workspaces, {kept: A, missed: A, fresh: A})

    places = (await compared(workspaces, read)).result
    assert [places.turn_of(draft_id) for draft_id in (kept, missed, fresh)] == [DEADLINE, None, None]
    # Three are taken today: one claim and two turns; tomorrow has two.
    assert first_time(places, fresh, A) == tomorrow
    assert first_time(places, kept, A) == NOW
    places.keep(fresh, A, tomorrow)
    assert first_time(places, missed, A) == tomorrow + timedelta(days=1)
    workspaces.set("app.workspaces", workspaces.id, daily_cap=4)
    assert first_time((await compared(workspaces, read)).result, fresh, A) == NOW
    workspaces.set("app.workspaces", workspaces.id, daily_cap=1)
    assert first_time((await compared(workspaces, read)).result, kept, A) == tomorrow


async def test_a_rate_counts_what_left_in_the_stretch_and_the_turns_kept(workspaces: TwoWorkspaces) -> None:
    """What left in this second holds all, a turn kept in the next one only those without a turn."""
    workspaces.set("app.workspaces", workspaces.id, sends_per_minute=60)
    add_turn(workspaces, NOW, made=True)
    add_turn(workspaces, NOW - TICK, made=True)
    kept, fresh = add_turn(workspaces, NOW + SECOND), workspaces.add_draft()
    places = (await compared(workspaces, lambda session: read_places(session, workspaces, {kept: A, fresh: A}))).result
    assert [first_time(places, draft_id, A) for draft_id in (kept, fresh)] == [NOW + SECOND, NOW + 2 * SECOND]
    workspaces.owner.execute("DELETE FROM app.send_slots WHERE made AND at = %s", [NOW])
    places = (await compared(workspaces, lambda session: read_places(session, workspaces, {kept: A, fresh: A}))).result
    assert [first_time(places, draft_id, A) for draft_id in (kept, fresh)] == [NOW, NOW]


async def test_a_gap_counts_mails_to_the_same_domain(workspaces: TwoWorkspaces) -> None:
    """A mail to a domain waits for the gap after what left to it, and after a turn kept for another."""
    workspaces.set("app.workspaces", workspaces.id, domain_gap_seconds=600)
    gap = 10 * MINUTE
    left_at, kept_at = NOW - 9 * MINUTE, NOW + 5 * MINUTE
    add_turn(workspaces, left_at, made=True)
    kept = add_turn(workspaces, kept_at, domain=B)
    fresh = workspaces.add_draft()
    places = (await compared(workspaces, lambda session: read_places(session, workspaces, {kept: B, fresh: A}))).result
    assert first_time(places, fresh, A) == left_at + gap
    assert first_time(places, fresh, B) == kept_at + gap
    assert first_time(places, kept, B) == NOW
    assert first_time(places, fresh, C) == NOW


async def test_a_workspace_without_limits_keeps_no_turns(workspaces: TwoWorkspaces) -> None:
    """Without limits no turn is read, kept or written, whatever is left from before."""
    draft_id = add_turn(workspaces, NOW + HOUR)
    places = (await compared(workspaces, lambda session: read_places(session, workspaces, {draft_id: A}))).result
    assert (places.turn_of(draft_id), first_time(places, draft_id, A)) == (None, NOW)
    places.keep(draft_id, A, NOW + HOUR)
    places.use(draft_id, A, NOW)
    assert (places.changes, places.turn_of(draft_id)) == ({}, None)


def test_a_ramp_rises_on_sending_days_alone() -> None:
    """The cap rises after each weekday that is one of the workspace's and no holiday, up to the cap."""
    workspace = Workspace(
        timezone="UTC", daily_cap=40, ramp_start=date(2026, 4, 2), ramp_from=10, ramp_step=10,
        sending_weekdays=[0, 1, 2, 3, 4], holidays_country="ZA",
    )  # fmt: skip
    pace = service.pace_of(workspace)
    assert pace.cap is not None
    # 3 April 2026 is Good Friday, the 4th and 5th are a weekend, the 6th is Family Day.
    assert [pace.cap.on(date(2026, 4, day)) for day in range(2, 11)] == [10, 20, 20, 20, 20, 20, 30, 40, 40]
    workspace.ramp_start = workspace.ramp_from = workspace.ramp_step = None
    pace = service.pace_of(workspace)
    assert pace.cap is not None
    assert pace.cap.on(date(2026, 4, 2)) == 40


CAP = Pace(ZoneInfo("UTC"), cap=DailyCap(1, None, lambda _day: True))
MAIL, OTHER, NEXT = (UUID(int=number) for number in (1, 2, 3))
DAY = timedelta(days=1)


def promised(pace: Pace, *moments: datetime) -> Places:
    """Return places in which mails have turns at these moments."""
    turns = {UUID(int=number): Turn(A, at, made=False) for number, at in enumerate(moments, start=1)}
    taken = Turns(pace)
    for turn in turns.values():
        taken.take(turn.at, turn.domain)
    return Places(pace, turns, Turns(pace), taken)


def test_a_mail_put_back_frees_what_it_took() -> None:
    """What does not leave is taken from what has left and from what is promised, and promised its later turn."""
    places = promised(CAP, NOW)
    places.use(OTHER, A, NOW)
    assert first_time(places, MAIL, A) == datetime(2026, 3, 5, tzinfo=NOW.tzinfo)
    places.put_back(OTHER, A, NOW, NOW + 2 * DAY)
    assert first_time(places, MAIL, A) == NOW
    assert first_time(places, NEXT, A, NOW + DAY) == NOW + DAY
    assert first_time(places, NEXT, A, NOW + 2 * DAY).date() == date(2026, 3, 7)
    places.give_up(MAIL)
    assert first_time(places, NEXT, A) == NOW
    assert places.changes == {MAIL: None, OTHER: Turn(A, NOW + 2 * DAY, made=False)}


def test_a_turn_that_is_moved_frees_the_first() -> None:
    """A mail that is given another turn leaves its first to the next, and a mail that leaves leaves its own."""
    places = promised(CAP, NOW)
    places.keep(MAIL, A, NOW + DAY)
    assert places.turn_of(MAIL) == NOW + DAY
    assert places.changes == {MAIL: Turn(A, NOW + DAY, made=False)}
    assert first_time(places, NEXT, A) == NOW
    assert first_time(places, NEXT, A, NOW + DAY).date() == date(2026, 3, 6)
    places.use(MAIL, A, NOW)
    assert places.changes == {MAIL: None}
    assert first_time(places, NEXT, A) == NOW + DAY - timedelta(hours=NOW.hour)
    assert places.turn_of(MAIL) is None


@pytest.mark.parametrize("pace", [Pace(ZoneInfo("UTC"), rate=Rate(60)), Pace(ZoneInfo("UTC"), gap=MINUTE)])
def test_a_rate_or_a_gap_remembers_what_left(pace: Pace) -> None:
    """Under a rate alone or a gap alone the turn of a mail that left is kept as used, and holds the next."""
    places = promised(pace)
    places.use(MAIL, A, NOW)
    assert places.changes == {MAIL: Turn(A, NOW, made=True)}
    assert first_time(places, NEXT, A) > NOW
