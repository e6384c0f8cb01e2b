"""Each statement of turns beside rows that differ in one condition, and what a claim makes of the turns it reads."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.slots import repository, service
from api.delivery.slots.repository import Slot
from api.delivery.slots.service import SlotLedger
from database.models import JobStatus, Workspace
from domain.job import OPEN_STATUSES
from domain.schedule import find_sending_time
from domain.send_limits import DailyCap, RateLimit, SendLimits, SlotUsage
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


def add_turn(workspaces: TwoWorkspaces, at: datetime, *, is_used: bool = False, domain: str = A) -> UUID:
    """Insert a draft with a turn."""
    draft_id = workspaces.add_draft()
    insert_row(workspaces, SLOTS, draft_id=draft_id, at=at, is_used=is_used, domain=domain)
    return draft_id


async def read_places(session: AsyncSession, workspaces: TwoWorkspaces, mails: dict[UUID, str]) -> SlotLedger:
    """Read whose turn it is as a claim does."""
    workspace = await session.get_one(Workspace, workspaces.id)
    return await service.read_slot_ledger(session, workspace, NOW, mails)


def first_time(places: SlotLedger, draft_id: UUID, domain: str, at: datetime = NOW) -> datetime:
    """Return when a mail may leave by the pace alone."""
    return find_sending_time(at, places.get_rules(draft_id, domain)).at


async def test_turns_are_read_from_a_time_on(workspaces: TwoWorkspaces) -> None:
    """A turn is kept for the requested draft, from the time on; one before it, or that was used, is not."""
    kept, other = add_turn(workspaces, NOW, domain=B), add_turn(workspaces, NOW)
    early, used = add_turn(workspaces, NOW - TICK), add_turn(workspaces, NOW, is_used=True)
    quarter = NOW - timedelta(minutes=NOW.minute % 15, seconds=NOW.second, microseconds=NOW.microsecond)
    add_turn(workspaces, quarter + timedelta(minutes=15))
    for at in (NOW, NOW - TICK):
        workspaces.add("app.send_attempts", draft_id=workspaces.add_draft(), claimed_at=at)

    async def read(session: AsyncSession) -> list[Any]:
        return [
            await repository.find_reserved_slots(session, workspaces.id, [kept, early, used], NOW),
            await repository.count_reserved_by_bucket(session, workspaces.id, NOW),
            await repository.count_used_since(session, workspaces.id, NOW),
            await repository.count_used_since(session, workspaces.id, NOW + TICK),
            await repository.count_claims_since(session, workspaces.id, NOW),
        ]

    assert (await compared(workspaces, read)).result == [
        {kept: Slot(B, NOW, is_used=False)},
        {quarter: 2, quarter + timedelta(minutes=15): 1},
        1,
        0,
        1,
    ]
    assert other != kept


async def test_turns_to_a_domain_count_from_their_own_times_on(workspaces: TwoWorkspaces) -> None:
    """Kept turns count from one time on, used ones from another, and of other domains none."""
    kept_since, made_since = NOW, NOW - MINUTE
    for is_used, since in ((False, kept_since), (True, made_since)):
        for at in (since, since - TICK):
            add_turn(workspaces, at, is_used=is_used)
    add_turn(workspaces, NOW, domain=B)
    add_turn(workspaces, NOW, domain=C)
    found = await compared(
        workspaces,
        lambda session: repository.list_slots_of_domains(
            session, workspaces.id, [A, B], reserved_since=kept_since, used_since=made_since
        ),
    )
    assert sorted(found.result, key=lambda turn: (turn.at, turn.domain)) == [
        Slot(A, made_since, is_used=True), Slot(A, kept_since, is_used=False), Slot(B, NOW, is_used=False)
    ]  # fmt: skip


async def test_a_stretch_counts_at_most_what_it_takes(workspaces: TwoWorkspaces) -> None:
    """Each stretch says how many of its turns are taken, a full one no more than it takes, and an empty one nothing."""
    rate = RateLimit(120)
    assert (rate.window_capacity, rate.window_start(rate.window_at(NOW))) == (2, NOW)
    for seconds, number in ((0, 1), (1, 2), (2, 3), (5, 2), (6, 1)):
        for _ in range(number):
            add_turn(workspaces, NOW + seconds * SECOND)
    add_turn(workspaces, NOW - TICK)  # before the time from which turns are kept
    for at in (NOW - 3 * SECOND, NOW - 3 * SECOND - TICK):
        add_turn(workspaces, at, is_used=True)
    first = rate.window_at(NOW)
    taken = await compared(
        workspaces,
        lambda session: repository.count_taken_by_rate_window(
            session, workspaces.id, rate, reserved_since=NOW, used_since=NOW - 3 * SECOND
        ),
    )
    assert taken.result == {first - 3: 1, first: 1, first + 1: 2, first + 2: 2, first + 5: 2, first + 6: 1}


async def test_only_turns_of_the_claim_and_forgotten_ones_are_written(workspaces: TwoWorkspaces) -> None:
    """A claim writes the turns it takes and deletes those it gave up or that are older than a time; others stay."""
    forgotten, given_up = add_turn(workspaces, NOW - TICK), add_turn(workspaces, NOW)
    add_turn(workspaces, NOW)
    renewed, fresh = add_turn(workspaces, NOW - HOUR), workspaces.add_draft()
    turns = {given_up: None, renewed: Slot(A, NOW + HOUR, is_used=False), fresh: Slot(B, NOW, is_used=True)}
    done = await compared(
        workspaces, lambda session: repository.write_slots(session, workspaces.id, turns, expired_before=NOW)
    )
    assert done.rows == {SLOTS: {forgotten, given_up, renewed, fresh}}
    assert done.changes[SLOTS][str(renewed)].keys() == {"at"}
    left = workspaces.owner.execute("SELECT domain, at, is_used FROM app.send_slots WHERE draft_id = %s", [fresh])
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
        await service.write_slot_ledger(session, workspaces.id, places, NOW)
        places.use(fresh, C, NOW)
        await service.write_slot_ledger(session, workspaces.id, places, NOW)

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
        if status not in OPEN_STATUSES:
            add_job(workspaces, draft_id, NOW, status=status)
    add_job(workspaces, draft_id, NOW, job_type="generate_draft")
    add_job(workspaces, other, NOW)
    add_job(workspaces, draft_id, NOW + HOUR)
    first = add_job(workspaces, draft_id, NOW + MINUTE)
    runs = add_job(workspaces, running, NOW, status="running")

    async def read(session: AsyncSession) -> list[Any]:
        ids = (draft_id, running, UUID(int=1))
        return [await service.find_send_job(session, workspaces.id, id_, "send_email") for id_ in ids]

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
    missed, used = add_turn(workspaces, DEADLINE - TICK), add_turn(workspaces, NOW, is_used=True)
    for draft_id, seconds in ((missed, 1), (used, 2)):
        add_job(workspaces, draft_id, NOW + seconds * SECOND)

    async def read(session: AsyncSession) -> list[tuple[UUID, datetime]]:
        workspace = await session.get_one(Workspace, workspaces.id)
        earlier = await service.list_earlier_jobs(session, workspace, "send_email", (job_id, at), NOW)
        return list(earlier.items())

    assert (await compared(workspaces, read)).result == [
        (late, NOW), (missed, NOW + SECOND), (used, NOW + 2 * SECOND), (first, at), (second, at)
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

    async def read(session: AsyncSession) -> SlotLedger:
        return await read_places(session, workspaces, {kept: A, missed: A, fresh: A})

    places = (await compared(workspaces, read)).result
    assert [places.get_reserved_time(draft_id) for draft_id in (kept, missed, fresh)] == [DEADLINE, None, None]
    # Three are taken today: one claim and two turns; tomorrow has two.
    assert first_time(places, fresh, A) == tomorrow
    assert first_time(places, kept, A) == NOW
    places.reserve(fresh, A, tomorrow)
    assert first_time(places, missed, A) == tomorrow + timedelta(days=1)
    workspaces.set("app.workspaces", workspaces.id, daily_cap=4)
    assert first_time((await compared(workspaces, read)).result, fresh, A) == NOW
    workspaces.set("app.workspaces", workspaces.id, daily_cap=1)
    assert first_time((await compared(workspaces, read)).result, kept, A) == tomorrow


async def test_a_rate_counts_what_left_in_the_stretch_and_the_turns_kept(workspaces: TwoWorkspaces) -> None:
    """What left in this second holds all, a turn kept in the next one only those without a turn."""
    workspaces.set("app.workspaces", workspaces.id, sends_per_minute=60)
    add_turn(workspaces, NOW, is_used=True)
    add_turn(workspaces, NOW - TICK, is_used=True)
    kept, fresh = add_turn(workspaces, NOW + SECOND), workspaces.add_draft()
    places = (await compared(workspaces, lambda session: read_places(session, workspaces, {kept: A, fresh: A}))).result
    assert [first_time(places, draft_id, A) for draft_id in (kept, fresh)] == [NOW + SECOND, NOW + 2 * SECOND]
    workspaces.owner.execute("DELETE FROM app.send_slots WHERE is_used AND at = %s", [NOW])
    places = (await compared(workspaces, lambda session: read_places(session, workspaces, {kept: A, fresh: A}))).result
    assert [first_time(places, draft_id, A) for draft_id in (kept, fresh)] == [NOW, NOW]


async def test_a_gap_counts_mails_to_the_same_domain(workspaces: TwoWorkspaces) -> None:
    """A mail to a domain waits for the gap after what left to it, and after a turn kept for another."""
    workspaces.set("app.workspaces", workspaces.id, domain_gap_seconds=600)
    gap = 10 * MINUTE
    left_at, kept_at = NOW - 9 * MINUTE, NOW + 5 * MINUTE
    add_turn(workspaces, left_at, is_used=True)
    kept = add_turn(workspaces, kept_at, domain=B)
    fresh = workspaces.add_draft()
    places = (await compared(workspaces, lambda session: read_places(session, workspaces, {kept: B, fresh: A}))).result
    assert first_time(places, fresh, A) == left_at + gap
    assert first_time(places, fresh, B) == kept_at + gap
    assert first_time(places, kept, B) == NOW
    assert first_time(places, fresh, C) == NOW


async def test_a_mail_to_another_domain_than_its_turn_leaves(workspaces: TwoWorkspaces) -> None:
    """A mail whose lead has got an address of another domain uses its turn, which is of that domain from then on."""
    workspaces.set("app.workspaces", workspaces.id, domain_gap_seconds=600)
    moved, fresh = add_turn(workspaces, NOW), workspaces.add_draft()

    async def use(session: AsyncSession) -> None:
        places = await read_places(session, workspaces, {moved: B})
        places.use(moved, B, NOW)
        await service.write_slot_ledger(session, workspaces.id, places, NOW)

    done = await compared(workspaces, use)
    assert done.changes == {SLOTS: {str(moved): {"domain": (A, B), "is_used": (False, True)}}}
    places = (await compared(workspaces, lambda session: read_places(session, workspaces, {fresh: B}))).result
    assert first_time(places, fresh, A) == NOW
    assert first_time(places, fresh, B) == NOW + 10 * MINUTE


async def test_a_workspace_without_limits_keeps_no_turns(workspaces: TwoWorkspaces) -> None:
    """Without limits no turn is read, kept or written, whatever is left from before."""
    draft_id = add_turn(workspaces, NOW + HOUR)
    places = (await compared(workspaces, lambda session: read_places(session, workspaces, {draft_id: A}))).result
    assert (places.get_reserved_time(draft_id), first_time(places, draft_id, A)) == (None, NOW)
    places.reserve(draft_id, A, NOW + HOUR)
    places.use(draft_id, A, NOW)
    assert (places.changes, places.get_reserved_time(draft_id)) == ({}, None)


def test_a_ramp_rises_on_sending_days_alone() -> None:
    """The cap rises after each weekday that is one of the workspace's and no holiday, up to the cap."""
    workspace = Workspace(
        timezone="UTC", daily_cap=40, ramp_start=date(2026, 4, 2), ramp_from=10, ramp_step=10,
        sending_weekdays=[0, 1, 2, 3, 4], holidays_country="ZA",
    )  # fmt: skip
    pace = service.get_send_limits(workspace)
    assert pace.cap is not None
    # 3 April 2026 is Good Friday, the 4th and 5th are a weekend, the 6th is Family Day.
    assert [pace.cap.get_limit(date(2026, 4, day)) for day in range(2, 11)] == [10, 20, 20, 20, 20, 20, 30, 40, 40]
    workspace.ramp_start = workspace.ramp_from = workspace.ramp_step = None
    pace = service.get_send_limits(workspace)
    assert pace.cap is not None
    assert pace.cap.get_limit(date(2026, 4, 2)) == 40


CAP = SendLimits(ZoneInfo("UTC"), cap=DailyCap(1, None, lambda _day: True))
MAIL, OTHER, NEXT = (UUID(int=number) for number in (1, 2, 3))
DAY = timedelta(days=1)


def promised(pace: SendLimits, *moments: datetime) -> SlotLedger:
    """Return places in which mails have turns at these moments."""
    turns = {UUID(int=number): Slot(A, at, is_used=False) for number, at in enumerate(moments, start=1)}
    taken = SlotUsage(pace)
    for turn in turns.values():
        taken.add(turn.at, turn.domain)
    return SlotLedger(pace, turns, SlotUsage(pace), taken)


def test_a_rescheduled_mail_frees_its_slot() -> None:
    """A mail that is rescheduled no longer counts as sent or reserved in its old slot, and reserves its later one."""
    places = promised(CAP, NOW)
    places.use(OTHER, A, NOW)
    assert first_time(places, MAIL, A) == datetime(2026, 3, 5, tzinfo=NOW.tzinfo)
    places.reschedule(OTHER, A, NOW, NOW + 2 * DAY)
    assert first_time(places, MAIL, A) == NOW
    assert first_time(places, NEXT, A, NOW + DAY) == NOW + DAY
    assert first_time(places, NEXT, A, NOW + 2 * DAY).date() == date(2026, 3, 7)
    places.release(MAIL)
    assert first_time(places, NEXT, A) == NOW
    assert places.changes == {MAIL: None, OTHER: Slot(A, NOW + 2 * DAY, is_used=False)}


def test_a_turn_that_is_moved_frees_the_first() -> None:
    """A mail that is given another turn leaves its first to the next, and a mail that leaves leaves its own."""
    places = promised(CAP, NOW)
    places.reserve(MAIL, A, NOW + DAY)
    assert places.get_reserved_time(MAIL) == NOW + DAY
    assert places.changes == {MAIL: Slot(A, NOW + DAY, is_used=False)}
    assert first_time(places, NEXT, A) == NOW
    assert first_time(places, NEXT, A, NOW + DAY).date() == date(2026, 3, 6)
    places.use(MAIL, A, NOW)
    assert places.changes == {MAIL: None}
    assert first_time(places, NEXT, A) == NOW + DAY - timedelta(hours=NOW.hour)
    assert places.get_reserved_time(MAIL) is None


@pytest.mark.parametrize(
    "pace", [SendLimits(ZoneInfo("UTC"), rate=RateLimit(60)), SendLimits(ZoneInfo("UTC"), gap=MINUTE)]
)
def test_a_rate_or_a_gap_remembers_what_left(pace: SendLimits) -> None:
    """Under a rate alone or a gap alone the turn of a mail that left is kept as used, and holds the next."""
    places = promised(pace)
    places.use(MAIL, A, NOW)
    assert places.changes == {MAIL: Slot(A, NOW, is_used=True)}
    assert first_time(places, NEXT, A) > NOW
