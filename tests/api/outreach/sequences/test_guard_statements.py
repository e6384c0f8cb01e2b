"""What a guard counts, beside mails and events that differ in one condition, and which sequences it pauses."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.outreach.sequences import repository, service
from domain.guard import Health, Limits, Share
from tests.blocking import Blocking
from tests.comparing import compared
from tests.overtaking import overtaken
from tests.two_workspaces import NOW, TwoWorkspaces, set_columns

pytestmark = pytest.mark.anyio

SEQUENCES = "app.sequences"
TICK, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
SAMPLE = 10
HEARD = ("delivered", "opened", "clicked", "unsubscribed")
"""What proves that a mail arrived after all."""
HARD, SOFT = "address", "unknown"


def add_mail(workspaces: TwoWorkspaces, sequence_id: UUID, sent_at: datetime | None, *events: tuple[Any, ...]) -> None:
    """Insert a mail of a sequence and what was heard of it: type, moment and the kind of a bounce."""
    lead_id = workspaces.add("app.leads")
    enrollment_id = workspaces.add("app.lead_enrollments", lead_id=lead_id, sequence_id=sequence_id)
    owners: dict[str, Any] = {"lead_id": lead_id, "enrollment_id": enrollment_id, "sequence_id": sequence_id}
    draft_id = workspaces.add("app.email_drafts", sent_at=sent_at, **owners)
    for type_, occurred_at, *kinds in events:
        values = {"type": type_, "occurred_at": occurred_at, "bounce_kind": kinds[0] if kinds else None}
        workspaces.add("app.email_events", draft_id=draft_id, **values)


async def find_health(
    workspaces: TwoWorkspaces,
    *sequence_ids: UUID,
    bounce_sample: int = SAMPLE,
    complaint_sample: int = SAMPLE,
    timezone: str = "UTC",
) -> dict[UUID, Health]:
    """Return the health of sequences."""
    limits = Limits(bounce_sample, None, complaint_sample, None, None)
    done = await compared(
        workspaces, lambda session: repository.get_health(session, workspaces.id, sequence_ids, limits, timezone)
    )
    return done.result


def healthy(sent: int, bounced: int = 0, complained: int = 0) -> Health:
    """Return the health of a sequence whose complaints, if any, were made on the day of NOW."""
    return Health(Share(sent, bounced), Share(sent, complained), NOW.date() if complained else None, complained)


async def test_what_counts_as_a_bounce(two_workspaces: TwoWorkspaces) -> None:
    """A bounce of the address counts; another one only where nothing was heard of the mail after it."""
    workspaces, sent_at = two_workspaces, NOW - MINUTE
    cases: list[tuple[int, list[tuple[Any, ...]]]] = [
        (1, [("bounced", NOW, HARD), ("delivered", NOW + TICK)]),
        (0, [("bounced", NOW), ("opened", NOW + TICK)]),
        (1, [("bounced", NOW, SOFT)]),
        (1, [("delivered", NOW), ("bounced", NOW, SOFT)]),
        (1, [("delivered", NOW - TICK), ("bounced", NOW, SOFT)]),
        (1, [("bounced", NOW, SOFT), ("sent", NOW + TICK), ("complained", NOW + TICK)]),
        *((0, [("bounced", NOW, SOFT), (type_, NOW + TICK)]) for type_ in HEARD),
        (0, [("delivered", NOW, HARD)]),
        (0, [("complained", NOW, HARD)]),
        (0, []),
    ]  # fmt: skip
    expected = {}
    for bounced, events in cases:
        sequence_id = workspaces.add(SEQUENCES, status="Active")
        add_mail(workspaces, sequence_id, sent_at, *events)
        complained = int(any(event[0] == "complained" for event in events))
        expected[sequence_id] = healthy(1, bounced, complained)
    assert await find_health(workspaces, *expected) == expected


async def test_which_mails_count(two_workspaces: TwoWorkspaces) -> None:
    """The last mails count that were sent after the activation, of this sequence, at most the sample."""
    workspaces = two_workspaces
    sequence_id = workspaces.add(SEQUENCES, status="Active", activated_at=NOW)
    other = workspaces.add(SEQUENCES, status="Active")
    bounced, complained = ("bounced", NOW, HARD), ("complained", NOW)
    add_mail(workspaces, sequence_id, NOW + 4 * MINUTE)
    add_mail(workspaces, sequence_id, NOW + TICK, bounced)
    add_mail(workspaces, sequence_id, NOW, bounced)
    add_mail(workspaces, sequence_id, None, bounced)
    add_mail(workspaces, sequence_id, NOW + 2 * MINUTE, complained)
    add_mail(workspaces, other, NOW + MINUTE, bounced, bounced)
    add_mail(workspaces, other, None, bounced)
    bounces, complaints = {}, {}
    for sample in range(1, 5):
        counted = await find_health(workspaces, sequence_id, bounce_sample=sample, complaint_sample=5 - sample)
        bounces[sample] = counted[sequence_id].bounced
        complaints[5 - sample] = counted[sequence_id].complained
    assert bounces == {1: Share(1, 0), 2: Share(2, 0), 3: Share(3, 1), 4: Share(3, 1)}
    assert complaints == {1: Share(1, 0), 2: Share(2, 1), 3: Share(3, 1), 4: Share(3, 1)}
    assert await find_health(workspaces, other) == {other: healthy(1, bounced=1)}


async def test_which_complaints_count_for_a_day(two_workspaces: TwoWorkspaces) -> None:
    """The day with the most mails complained about counts, in the zone given, whatever their place in a sample.

    A mail counts on the day of its first complaint, if it was sent after the activation and is of this sequence.
    """
    workspaces = two_workspaces
    midnight = datetime(2026, 3, 10, 22, tzinfo=UTC)  # of Johannesburg
    sent_at = midnight - timedelta(days=2)
    sequence_id = workspaces.add(SEQUENCES, status="Active", activated_at=sent_at)
    other, silent = (workspaces.add(SEQUENCES, status="Active") for _ in range(2))
    add_mail(workspaces, silent, sent_at)
    for complained_at in (midnight - TICK, midnight - TICK, midnight):
        add_mail(workspaces, sequence_id, sent_at + MINUTE, ("complained", complained_at))
    add_mail(workspaces, sequence_id, sent_at + TICK, ("complained", midnight - TICK), ("complained", midnight))
    add_mail(workspaces, sequence_id, sent_at, ("complained", midnight))
    add_mail(workspaces, sequence_id, None, ("complained", midnight))
    add_mail(workspaces, sequence_id, sent_at + MINUTE, ("bounced", midnight, HARD))
    for _ in range(3):
        add_mail(workspaces, other, sent_at, ("complained", midnight))

    async def find_worst(timezone: str, of: UUID) -> tuple[date | None, int]:
        counted = await find_health(workspaces, sequence_id, other, silent, complaint_sample=1, timezone=timezone)
        return counted[of].worst_day, counted[of].worst_day_complaints

    assert await find_worst("Africa/Johannesburg", sequence_id) == (date(2026, 3, 10), 3)
    assert await find_worst("UTC", sequence_id) == (date(2026, 3, 10), 4)
    assert await find_worst("Africa/Johannesburg", other) == (date(2026, 3, 11), 3)
    assert await find_worst("UTC", silent) == (None, 0)


async def test_which_sequences_are_looked_at(two_workspaces: TwoWorkspaces) -> None:
    """Sequences that are asked about, active and not deleted are looked at, each by its own mails."""
    workspaces = two_workspaces
    active, other = (workspaces.add(SEQUENCES, status="Active") for _ in range(2))
    paused = workspaces.add(SEQUENCES, status="Paused")
    deleted = workspaces.add(SEQUENCES, status="Active", deleted_at=NOW)
    for sequence_id in (active, paused, deleted, other):
        add_mail(workspaces, sequence_id, NOW)
    assert await find_health(workspaces, active, paused, deleted) == {active: healthy(1)}


async def test_every_alarming_sequence_pauses(two_workspaces: TwoWorkspaces) -> None:
    """Each sequence that is above a limit pauses with its own reason; one at the limit and one not named go on."""
    workspaces = two_workspaces
    limits = {"guard_sample": 4, "max_bounce_rate": 0.25, "complaint_sample": 8, "max_complaint_rate": 0.25}
    workspaces.set("app.workspaces", workspaces.id, **limits, max_daily_complaints=None)
    bouncing, complained, at_limit, other = (workspaces.add(SEQUENCES, status="Active") for _ in range(4))
    for sequence_id, number, event in (
        (bouncing, 2, ("bounced", NOW, HARD)),
        (complained, 3, ("complained", NOW)),
        (at_limit, 1, ("bounced", NOW, HARD)),
        (at_limit, 2, ("complained", NOW)),
        (other, 2, ("bounced", NOW, HARD)),
    ):
        for _ in range(number):
            add_mail(workspaces, sequence_id, NOW, event)

    async def check(session: AsyncSession) -> None:
        await service.pause_unhealthy_sequences(session, workspaces.id, [bouncing, complained, at_limit])

    done = await compared(workspaces, check)
    assert done.rows == {SEQUENCES: {bouncing, complained}}
    reasons = {UUID(key): row["pause_reason"][1] for key, row in done.changes[SEQUENCES].items()}
    assert "2 of the last 2 mails bounced" in reasons[bouncing]
    assert "3 of the last 3 mails were complained about" in reasons[complained]
    assert (await compared(workspaces, check)).changes == {}


@pytest.mark.parametrize(
    ("changed", "pauses"),
    [
        ({"activated_at": NOW}, False),
        ({"status": "Paused"}, False),
        ({"deleted_at": NOW}, False),
        ({"name": "Renamed"}, True),
    ],
    ids=["activated again", "paused", "deleted", "renamed"],
)
async def test_a_sequence_is_judged_again_once_it_is_locked(
    two_workspaces: TwoWorkspaces, changed: dict[str, Any], *, pauses: bool
) -> None:
    """A sequence that is changed while it is checked is checked as changed, by every event up to then.

    Its mails from before an activation do not pause it again.
    """
    workspaces = two_workspaces
    workspaces.set("app.workspaces", workspaces.id, guard_sample=4, max_bounce_rate=0.25, max_complaint_rate=None)
    sequence_id = workspaces.add(SEQUENCES, status="Active")
    for _ in range(2):
        add_mail(workspaces, sequence_id, NOW - MINUTE, ("bounced", NOW, HARD))

    def change(other: psycopg.Connection) -> None:
        set_columns(other, SEQUENCES, {sequence_id: changed})
        add_mail(replace(workspaces, owner=other), sequence_id, NOW - MINUTE, ("bounced", NOW, HARD))

    overtaking = await overtaken(
        workspaces, change, lambda session: service.pause_unhealthy_sequences(session, workspaces.id, [sequence_id])
    )
    assert overtaking.rows == ({SEQUENCES: {sequence_id}} if pauses else {})
    if pauses:
        reason = overtaking.changes[SEQUENCES][str(sequence_id)]["pause_reason"][1]
        assert reason == "paused by the bounce guard: 3 of the last 3 mails bounced (more than 25 % of 4)"


async def test_only_the_sequences_named_are_locked(blocking: Blocking) -> None:
    """A guard that looks at one sequence leaves another free."""
    low, high = blocking.add_lower(SEQUENCES)
    async with blocking.kept_open(lambda session: repository.lock_sequences(session, blocking.workspace_id, [low])):
        assert blocking.modes(SEQUENCES, [low, high]) == ["NO KEY UPDATE", None]
