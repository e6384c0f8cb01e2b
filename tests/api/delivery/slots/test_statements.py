"""Each statement of slots beside rows that differ in one condition, and what a claim does with the slots it reads."""

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
"""Up to when a slot that was missed is still reserved for its mail."""


@pytest.fixture
def workspaces(two_workspaces: TwoWorkspaces) -> TwoWorkspaces:
    """Two workspaces, that of the test without slots, claims and jobs."""
    for table in (SLOTS, "app.send_attempts", JOBS):
        two_workspaces.owner.execute(f"DELETE FROM {table} WHERE workspace_id = %s".encode(), [two_workspaces.id])
    return two_workspaces


def add_slot(workspaces: TwoWorkspaces, at: datetime, *, is_used: bool = False, domain: str = A) -> UUID:
    """Insert a draft with a slot."""
    draft_id = workspaces.add_draft()
    insert_row(workspaces, SLOTS, draft_id=draft_id, at=at, is_used=is_used, domain=domain)
    return draft_id


async def read_ledger(session: AsyncSession, workspaces: TwoWorkspaces, mails: dict[UUID, str]) -> SlotLedger:
    """Read the slots as a claim does."""
    workspace = await session.get_one(Workspace, workspaces.id)
    return await service.read_slot_ledger(session, workspace, NOW, mails)


def first_time(ledger: SlotLedger, draft_id: UUID, domain: str, at: datetime = NOW) -> datetime:
    """Return when a mail may leave by the pace alone."""
    return find_sending_time(at, ledger.get_rules(draft_id, domain)).at


async def test_slots_are_read_from_a_time_on(workspaces: TwoWorkspaces) -> None:
    """A slot is reserved for the requested draft, from the time on; one before it, or that was used, is not."""
    reserved, other = add_slot(workspaces, NOW, domain=B), add_slot(workspaces, NOW)
    early, used = add_slot(workspaces, NOW - TICK), add_slot(workspaces, NOW, is_used=True)
    bucket = NOW - timedelta(minutes=NOW.minute % 15, seconds=NOW.second, microseconds=NOW.microsecond)
    add_slot(workspaces, bucket + timedelta(minutes=15))
    for at in (NOW, NOW - TICK):
        workspaces.add("app.send_attempts", draft_id=workspaces.add_draft(), claimed_at=at)

    async def read(session: AsyncSession) -> list[Any]:
        return [
            await repository.find_reserved_slots(session, workspaces.id, [reserved, early, used], NOW),
            await repository.count_reserved_by_bucket(session, workspaces.id, NOW),
            await repository.count_used_since(session, workspaces.id, NOW),
            await repository.count_used_since(session, workspaces.id, NOW + TICK),
            await repository.count_claims_since(session, workspaces.id, NOW),
        ]

    assert (await compared(workspaces, read)).result == [
        {reserved: Slot(B, NOW, is_used=False)},
        {bucket: 2, bucket + timedelta(minutes=15): 1},
        1,
        0,
        1,
    ]
    assert other != reserved


async def test_slots_to_a_domain_count_from_their_own_times_on(workspaces: TwoWorkspaces) -> None:
    """Reserved slots count from one time on, used ones from another, and of other domains none."""
    reserved_since, used_since = NOW, NOW - MINUTE
    for is_used, since in ((False, reserved_since), (True, used_since)):
        for at in (since, since - TICK):
            add_slot(workspaces, at, is_used=is_used)
    add_slot(workspaces, NOW, domain=B)
    add_slot(workspaces, NOW, domain=C)
    found = await compared(
        workspaces,
        lambda session: repository.list_slots_of_domains(
            session, workspaces.id, [A, B], reserved_since=reserved_since, used_since=used_since
        ),
    )
    assert sorted(found.result, key=lambda slot: (slot.at, slot.domain)) == [
        Slot(A, used_since, is_used=True), Slot(A, reserved_since, is_used=False), Slot(B, NOW, is_used=False)
    ]  # fmt: skip


async def test_a_stretch_counts_at_most_what_it_takes(workspaces: TwoWorkspaces) -> None:
    """Each rate window has the number of its taken slots, at most its capacity; an empty one has no row."""
    rate = RateLimit(120)
    assert (rate.window_capacity, rate.window_start(rate.window_at(NOW))) == (2, NOW)
    for seconds, number in ((0, 1), (1, 2), (2, 3), (5, 2), (6, 1)):
        for _ in range(number):
            add_slot(workspaces, NOW + seconds * SECOND)
    add_slot(workspaces, NOW - TICK)  # before the time from which slots are reserved
    for at in (NOW - 3 * SECOND, NOW - 3 * SECOND - TICK):
        add_slot(workspaces, at, is_used=True)
    first = rate.window_at(NOW)
    taken = await compared(
        workspaces,
        lambda session: repository.count_taken_by_rate_window(
            session, workspaces.id, rate, reserved_since=NOW, used_since=NOW - 3 * SECOND
        ),
    )
    assert taken.result == {first - 3: 1, first: 1, first + 1: 2, first + 2: 2, first + 5: 2, first + 6: 1}


async def test_only_slots_of_the_claim_and_forgotten_ones_are_written(workspaces: TwoWorkspaces) -> None:
    """A claim writes the slots it takes and deletes those it released or that are older than a time; others stay."""
    forgotten, released = add_slot(workspaces, NOW - TICK), add_slot(workspaces, NOW)
    add_slot(workspaces, NOW)
    renewed, fresh = add_slot(workspaces, NOW - HOUR), workspaces.add_draft()
    slots = {released: None, renewed: Slot(A, NOW + HOUR, is_used=False), fresh: Slot(B, NOW, is_used=True)}
    done = await compared(
        workspaces, lambda session: repository.write_slots(session, workspaces.id, slots, expired_before=NOW)
    )
    assert done.rows == {SLOTS: {forgotten, released, renewed, fresh}}
    assert done.changes[SLOTS][str(renewed)].keys() == {"at"}
    left = workspaces.owner.execute("SELECT domain, at, is_used FROM app.send_slots WHERE draft_id = %s", [fresh])
    assert left.fetchall() == [(B, NOW, True)]


@pytest.mark.parametrize(("gap", "looks_back"), [(None, MINUTE), (30, MINUTE), (600, 10 * MINUTE)])
async def test_slots_are_deleted_once_they_delay_nothing(
    workspaces: TwoWorkspaces, gap: int | None, looks_back: timedelta
) -> None:
    """A slot is deleted when it is older than the gap, or than the minute for which a missed one is reserved."""
    workspaces.set("app.workspaces", workspaces.id, sends_per_minute=60, domain_gap_seconds=gap)
    add_slot(workspaces, NOW - looks_back)
    old, fresh = add_slot(workspaces, NOW - looks_back - TICK), workspaces.add_draft()

    async def write(session: AsyncSession) -> None:
        ledger = await read_ledger(session, workspaces, {fresh: C})
        await service.write_slot_ledger(session, workspaces.id, ledger, NOW)
        ledger.use(fresh, C, NOW)
        await service.write_slot_ledger(session, workspaces.id, ledger, NOW)

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
    """Drafts without a slot whose jobs run earlier come first, in the order of time and id, none before now."""
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
    add_job(workspaces, add_slot(workspaces, DEADLINE), NOW)
    missed, used = add_slot(workspaces, DEADLINE - TICK), add_slot(workspaces, NOW, is_used=True)
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


async def test_a_day_counts_its_claims_and_the_slots_reserved_on_it(workspaces: TwoWorkspaces) -> None:
    """Claims since the workspace's day began count for all, reserved slots for those without one of their own."""
    workspaces.set("app.workspaces", workspaces.id, timezone="America/New_York", daily_cap=3)
    begins = datetime(2026, 3, 4, 5, tzinfo=NOW.tzinfo)
    tomorrow = begins + timedelta(days=1)
    for at in (begins, begins - TICK):
        workspaces.add("app.send_attempts", draft_id=workspaces.add_draft(), claimed_at=at)
    reserved, missed = add_slot(workspaces, DEADLINE), add_slot(workspaces, DEADLINE - TICK)
    add_slot(workspaces, tomorrow - TICK)
    for _ in range(2):
        add_slot(workspaces, tomorrow)
    fresh = workspaces.add_draft()

    async def read(session: AsyncSession) -> SlotLedger:
        return await read_ledger(session, workspaces, {reserved: A, missed: A, fresh: A})

    ledger = (await compared(workspaces, read)).result
    assert [ledger.get_reserved_time(draft_id) for draft_id in (reserved, missed, fresh)] == [DEADLINE, None, None]
    # Three are taken today: one claim and two slots; tomorrow has two.
    assert first_time(ledger, fresh, A) == tomorrow
    assert first_time(ledger, reserved, A) == NOW
    ledger.reserve(fresh, A, tomorrow)
    assert first_time(ledger, missed, A) == tomorrow + timedelta(days=1)
    workspaces.set("app.workspaces", workspaces.id, daily_cap=4)
    assert first_time((await compared(workspaces, read)).result, fresh, A) == NOW
    workspaces.set("app.workspaces", workspaces.id, daily_cap=1)
    assert first_time((await compared(workspaces, read)).result, reserved, A) == tomorrow


async def test_a_rate_counts_used_and_reserved_slots_of_its_window(workspaces: TwoWorkspaces) -> None:
    """A mail sent in this second delays all, a slot reserved in the next one only those without a slot."""
    workspaces.set("app.workspaces", workspaces.id, sends_per_minute=60)
    add_slot(workspaces, NOW, is_used=True)
    add_slot(workspaces, NOW - TICK, is_used=True)
    reserved, fresh = add_slot(workspaces, NOW + SECOND), workspaces.add_draft()
    ledger = (
        await compared(workspaces, lambda session: read_ledger(session, workspaces, {reserved: A, fresh: A}))
    ).result
    assert [first_time(ledger, draft_id, A) for draft_id in (reserved, fresh)] == [NOW + SECOND, NOW + 2 * SECOND]
    workspaces.owner.execute("DELETE FROM app.send_slots WHERE is_used AND at = %s", [NOW])
    ledger = (
        await compared(workspaces, lambda session: read_ledger(session, workspaces, {reserved: A, fresh: A}))
    ).result
    assert [first_time(ledger, draft_id, A) for draft_id in (reserved, fresh)] == [NOW, NOW]


async def test_a_gap_counts_mails_to_the_same_domain(workspaces: TwoWorkspaces) -> None:
    """A mail to a domain waits for the gap after the last mail to it, and after a slot reserved for another."""
    workspaces.set("app.workspaces", workspaces.id, domain_gap_seconds=600)
    gap = 10 * MINUTE
    left_at, reserved_at = NOW - 9 * MINUTE, NOW + 5 * MINUTE
    add_slot(workspaces, left_at, is_used=True)
    reserved = add_slot(workspaces, reserved_at, domain=B)
    fresh = workspaces.add_draft()
    ledger = (
        await compared(workspaces, lambda session: read_ledger(session, workspaces, {reserved: B, fresh: A}))
    ).result
    assert first_time(ledger, fresh, A) == left_at + gap
    assert first_time(ledger, fresh, B) == reserved_at + gap
    assert first_time(ledger, reserved, B) == NOW
    assert first_time(ledger, fresh, C) == NOW


async def test_a_mail_to_another_domain_than_its_slot_leaves(workspaces: TwoWorkspaces) -> None:
    """A mail whose lead has got an address of another domain uses its slot, which is of that domain from then on."""
    workspaces.set("app.workspaces", workspaces.id, domain_gap_seconds=600)
    moved, fresh = add_slot(workspaces, NOW), workspaces.add_draft()

    async def use(session: AsyncSession) -> None:
        ledger = await read_ledger(session, workspaces, {moved: B})
        ledger.use(moved, B, NOW)
        await service.write_slot_ledger(session, workspaces.id, ledger, NOW)

    done = await compared(workspaces, use)
    assert done.changes == {SLOTS: {str(moved): {"domain": (A, B), "is_used": (False, True)}}}
    ledger = (await compared(workspaces, lambda session: read_ledger(session, workspaces, {fresh: B}))).result
    assert first_time(ledger, fresh, A) == NOW
    assert first_time(ledger, fresh, B) == NOW + 10 * MINUTE


async def test_a_workspace_without_limits_has_no_slots(workspaces: TwoWorkspaces) -> None:
    """Without limits no slot is read, reserved or written, whatever is left from before."""
    draft_id = add_slot(workspaces, NOW + HOUR)
    ledger = (await compared(workspaces, lambda session: read_ledger(session, workspaces, {draft_id: A}))).result
    assert (ledger.get_reserved_time(draft_id), first_time(ledger, draft_id, A)) == (None, NOW)
    ledger.reserve(draft_id, A, NOW + HOUR)
    ledger.use(draft_id, A, NOW)
    assert (ledger.changes, ledger.get_reserved_time(draft_id)) == ({}, None)


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


def reserve(pace: SendLimits, *moments: datetime) -> SlotLedger:
    """Return a ledger in which mails have slots at these moments."""
    slots = {UUID(int=number): Slot(A, at, is_used=False) for number, at in enumerate(moments, start=1)}
    taken = SlotUsage(pace)
    for slot in slots.values():
        taken.add(slot.at, slot.domain)
    return SlotLedger(pace, slots, SlotUsage(pace), taken)


def test_a_rescheduled_mail_frees_its_slot() -> None:
    """A mail that is rescheduled no longer counts as sent or reserved in its old slot, and reserves its later one."""
    ledger = reserve(CAP, NOW)
    ledger.use(OTHER, A, NOW)
    assert first_time(ledger, MAIL, A) == datetime(2026, 3, 5, tzinfo=NOW.tzinfo)
    ledger.reschedule(OTHER, A, NOW, NOW + 2 * DAY)
    assert first_time(ledger, MAIL, A) == NOW
    assert first_time(ledger, NEXT, A, NOW + DAY) == NOW + DAY
    assert first_time(ledger, NEXT, A, NOW + 2 * DAY).date() == date(2026, 3, 7)
    ledger.release(MAIL)
    assert first_time(ledger, NEXT, A) == NOW
    assert ledger.changes == {MAIL: None, OTHER: Slot(A, NOW + 2 * DAY, is_used=False)}


def test_a_slot_that_is_moved_frees_the_first() -> None:
    """A mail that reserves another slot frees its first for the next, and a mail that leaves frees its own."""
    ledger = reserve(CAP, NOW)
    ledger.reserve(MAIL, A, NOW + DAY)
    assert ledger.get_reserved_time(MAIL) == NOW + DAY
    assert ledger.changes == {MAIL: Slot(A, NOW + DAY, is_used=False)}
    assert first_time(ledger, NEXT, A) == NOW
    assert first_time(ledger, NEXT, A, NOW + DAY).date() == date(2026, 3, 6)
    ledger.use(MAIL, A, NOW)
    assert ledger.changes == {MAIL: None}
    assert first_time(ledger, NEXT, A) == NOW + DAY - timedelta(hours=NOW.hour)
    assert ledger.get_reserved_time(MAIL) is None


@pytest.mark.parametrize(
    "pace", [SendLimits(ZoneInfo("UTC"), rate=RateLimit(60)), SendLimits(ZoneInfo("UTC"), gap=MINUTE)]
)
def test_a_rate_or_a_gap_remembers_what_left(pace: SendLimits) -> None:
    """Under a rate alone or a gap alone the slot of a mail that left stays as used, and delays the next."""
    ledger = reserve(pace)
    ledger.use(MAIL, A, NOW)
    assert ledger.changes == {MAIL: Slot(A, NOW, is_used=True)}
    assert first_time(ledger, NEXT, A) > NOW
