"""The judge alone, over rows that are in no database: every answer, and every bound of a time."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from api.delivery.sending import eligibility
from api.delivery.sending.eligibility import Allowed, Blocked, Candidate, ClaimLost, Deferred, Denied, SendContext
from api.delivery.slots.repository import Slot
from api.delivery.slots.service import SlotLedger
from database.models import (
    EmailDraft,
    EverlyticConnection,
    Lead,
    LeadEnrollment,
    SendOutcome,
    Sequence,
    SequenceStep,
    Workspace,
)
from domain.errors import NoSendingTime
from domain.schedule import Constraint
from domain.send_limits import RateLimit, SendLimits, SlotUsage

NOW = datetime(2026, 3, 4, 10, tzinfo=UTC)
"""A Wednesday, within the hours."""
TICK, SECOND, HOUR, DAY = timedelta(microseconds=1), timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
DRAFT, OTHER, JOB = (UUID(int=number) for number in (1, 2, 3))
OPENS = datetime(2026, 3, 5, 8, tzinfo=UTC)
"""When the hours of the next day begin."""


def candidate(
    *,
    forbidden: str | None = None,
    outcome: SendOutcome | None = None,
    claimed_by: UUID | None = None,
    enrollment: str = "active",
    sequence: dict[str, Any] | None = None,
    **draft: Any,
) -> Candidate:
    """Return a reviewed draft that may go out but for what is given."""
    row = {"id": DRAFT, "status": "reviewed", "error_reason": None, "send_at": None} | draft
    states = {"status": "Active", "deleted_at": None, "pause_reason": None} | (sequence or {})
    return Candidate(
        EmailDraft(**row),
        LeadEnrollment(status=enrollment),
        Sequence(**states),
        Lead(email="thandi@a.example", timezone=None),
        forbidden,
        outcome,
        claimed_by,
    )


def connection(**values: Any) -> EverlyticConnection:
    """Return a connection that serves, but for what is given."""
    return EverlyticConnection(**{"disabled_at": None, "disabled_reason": None, "blocked_until": None} | values)


def send_context(
    *, blocked_until: datetime | None = None, weekdays: Any = range(5), ledger: SlotLedger | None = None
) -> SendContext:
    """Return the context of a workspace that sends from eight to five, without limits."""
    workspace = Workspace(
        timezone="UTC",
        window_start=time(8),
        window_end=time(17),
        sending_weekdays=list(weekdays),
        holidays_country=None,
    )
    pace = SendLimits(ZoneInfo("UTC"))
    unlimited = SlotLedger(pace, {}, SlotUsage(pace), SlotUsage(pace))
    return SendContext(workspace, connection(blocked_until=blocked_until), ledger or unlimited)


def reserve(reserved: dict[UUID, datetime]) -> SlotLedger:
    """Return the ledger of a workspace that sends a mail a second, in which drafts have slots."""
    pace = SendLimits(ZoneInfo("UTC"), rate=RateLimit(60))
    usage = SlotUsage(pace)
    slots = {draft_id: Slot("a.example", at, is_used=False) for draft_id, at in reserved.items()}
    for slot in slots.values():
        usage.add(slot.at, slot.domain)
    return SlotLedger(pace, slots, SlotUsage(pace), usage)


@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        ({}, Allowed()),
        (
            {"outcome": "claimed", "claimed_by": JOB},
            ClaimLost("an earlier run claimed the mail and did not finish; its outcome is being looked up"),
        ),
        ({"outcome": "claimed", "claimed_by": OTHER}, Denied("the mail is being sent")),
        ({"outcome": "rejected", "claimed_by": JOB}, Denied("Everlytic refused the mail")),
        ({"outcome": "accepted", "claimed_by": JOB}, Denied("the mail was sent")),
        (
            {"outcome": "unknown", "claimed_by": JOB},
            Denied("the mail may have been sent: the outcome is unknown and is being looked up"),
        ),
        ({"status": "pending"}, Denied("the draft is being written")),
        ({"status": "drafted"}, Denied("the draft waits for review")),
        ({"status": "failed"}, Denied("the draft failed")),
        ({"status": "failed", "error_reason": "rejected"}, Denied("the draft failed: rejected")),
        ({"status": "sent"}, Denied(eligibility.NOTHING_TO_SEND)),
        ({"forbidden": "the lead has unsubscribed"}, Blocked("the lead has unsubscribed")),
        ({"forbidden": "it", "status": "sent"}, Denied(eligibility.NOTHING_TO_SEND)),
        ({"forbidden": "it", "enrollment": "paused"}, Blocked("it")),
        ({"enrollment": "paused"}, Denied("the enrollment is paused")),
        ({"sequence": {"status": "Paused"}}, Denied("the sequence is Paused")),
        ({"sequence": {"status": "Paused", "pause_reason": "bounces"}}, Denied("the sequence is Paused (bounces)")),
        ({"sequence": {"status": "Paused", "deleted_at": NOW}}, Denied("the sequence was deleted")),
        ({"send_at": NOW}, Allowed()),
        ({"send_at": NOW + TICK}, Deferred(NOW + TICK, "deferred by step_delay")),
    ],
)
def test_what_the_judge_answers(facts: dict[str, Any], answer: object) -> None:
    """Each state of a draft and of what it hangs on has its own answer, the weightiest first."""
    outcome = SendOutcome(facts["outcome"]) if "outcome" in facts else None
    assert eligibility.check_eligibility(candidate(**facts | {"outcome": outcome}), send_context(), NOW, JOB) == answer


def test_what_never_finds_a_time_asks_again_after_a_day() -> None:
    """Where no time is within the horizon, the mail asks for one again a day later."""
    weekend = eligibility.check_eligibility(candidate(), send_context(weekdays=[]), NOW, JOB)
    assert isinstance(weekend, Deferred)
    assert weekend.at == NOW + DAY
    with pytest.raises(NoSendingTime):
        eligibility.find_send_time(candidate(), send_context(weekdays=[]), NOW)


@pytest.mark.parametrize(
    ("connected", "reason"),
    [
        (None, "the workspace has no Everlytic connection"),
        (connection(disabled_at=NOW, disabled_reason="refused"), "the Everlytic connection is disabled: refused"),
        (connection(), None),
    ],
)
def test_a_mail_waits_for_a_connection(connected: EverlyticConnection | None, reason: str | None) -> None:
    """A connection that is missing or disabled stops a mail; every hold reason is listed, and one stops it."""
    mail = candidate(enrollment="paused", forbidden="it", status="drafted")
    held = [one for one in ("the enrollment is paused", reason, "it", "the draft waits for review") if one]
    assert eligibility.list_hold_reasons(mail, connected) == held
    assert eligibility.list_hold_reasons(candidate(), connected) == ([reason] if reason else [])
    assert eligibility.find_stop_reason(candidate().send_state, connected) == reason
    assert eligibility.find_stop_reason(mail.send_state, connected) == "it"


def test_a_slot_is_the_earliest_time() -> None:
    """A draft leaves at its reserved slot, now if that has passed, and not before the end of its connection's block."""
    for at, expected in ((NOW + HOUR, NOW + HOUR), (NOW - HOUR, NOW)):
        assert eligibility.find_send_time(candidate(), send_context(ledger=reserve({DRAFT: at})), NOW).at == expected
    assert eligibility.find_send_time(candidate(), send_context(ledger=reserve({OTHER: NOW})), NOW).at == NOW + SECOND
    blocked = eligibility.find_send_time(candidate(), send_context(blocked_until=NOW + HOUR), NOW)
    assert (blocked.at, blocked.binding) == (NOW + HOUR, Constraint.PROVIDER)


def explained(
    mail: Candidate, conditions: SendContext, previous: datetime, job_at: datetime = NOW, **delay: int
) -> Any:
    """Return when a draft leaves and every constraint on that time."""
    step = SequenceStep(**{"delay_days": 0, "delay_hours": 0} | delay)
    found = eligibility.explain_send_time(mail, step, conditions, previous, job_at, NOW)
    return found.at, found.binding, list(found.considered)


def test_a_time_that_nothing_makes_is_now() -> None:
    """A draft whose job asks now, or asked before, leaves now, and nothing binds it."""
    for job_at in (NOW, NOW - HOUR):
        assert explained(candidate(send_at=NOW - DAY), send_context(), NOW - DAY, job_at) == (NOW, Constraint.NONE, [])


def test_a_time_is_made_by_the_delay_and_then_by_the_hours() -> None:
    """The draft's own time is named by what made it, each constraint with the last time it moved the mail to."""
    late = NOW + 10 * HOUR
    made = [(Constraint.STEP_DELAY, late), (Constraint.SENDING_WINDOW, OPENS)]
    mail = candidate(send_at=OPENS)
    assert explained(mail, send_context(), NOW - 2 * HOUR, delay_hours=12) == (OPENS, Constraint.SENDING_WINDOW, made)
    # What blocks the connection until later comes behind, and binds.
    blocked = (Constraint.PROVIDER, OPENS + HOUR)
    conditions = send_context(blocked_until=OPENS + HOUR)
    assert explained(mail, conditions, NOW - 2 * HOUR, delay_hours=12) == (*reversed(blocked), [*made, blocked])


def test_what_moved_a_draft_up_to_now_is_not_named() -> None:
    """A delay that has passed, now or before, is no reason any more; the hours that follow it are."""
    closed = NOW + 10 * HOUR
    mail, delay = candidate(send_at=OPENS), {"delay_hours": 1}
    step = SequenceStep(delay_days=0, **delay)
    for previous in (closed - HOUR, closed - HOUR - TICK):
        found = eligibility.explain_send_time(mail, step, send_context(), previous, closed, closed)
        assert (found.at, list(found.considered)) == (OPENS, [(Constraint.SENDING_WINDOW, OPENS)])


def test_a_draft_whose_step_was_changed_keeps_its_time() -> None:
    """Where the delay as it is now does not lead to the draft's time, the time itself is named as the delay."""
    at = NOW + HOUR
    expected = (at, Constraint.STEP_DELAY, [(Constraint.STEP_DELAY, at)])
    assert explained(candidate(send_at=at), send_context(), NOW, delay_hours=3) == expected
    assert explained(candidate(send_at=at), send_context(), NOW, delay_hours=1) == expected


def test_a_constraint_is_named_once() -> None:
    """The hours that made the draft's time and hold it again later are named with the later time."""
    at, next_day = NOW + 6 * HOUR + HOUR - TICK, OPENS
    mail, conditions = candidate(send_at=at), send_context(blocked_until=NOW + 8 * HOUR)
    found = explained(mail, conditions, at - HOUR, delay_hours=1)
    assert found[0] == next_day
    assert [constraint for constraint, _ in found[2]] == [
        Constraint.STEP_DELAY, Constraint.PROVIDER, Constraint.SENDING_WINDOW
    ]  # fmt: skip


def test_a_slot_that_nothing_else_explains_is_the_queue() -> None:
    """A reserved slot is named as the queue, after the constraints that move the mail to an earlier time."""
    ledger = reserve({DRAFT: NOW + HOUR})
    queued = (Constraint.QUEUE, NOW + HOUR)
    assert explained(candidate(), send_context(ledger=ledger), NOW) == (NOW + HOUR, Constraint.QUEUE, [queued])
    at = NOW + HOUR
    ledger = reserve({DRAFT: NOW + 2 * HOUR})
    found = explained(candidate(send_at=at), send_context(ledger=ledger), NOW, delay_hours=1)
    assert found == (at + HOUR, Constraint.QUEUE, [(Constraint.STEP_DELAY, at), (Constraint.QUEUE, at + HOUR)])
    # Without its slot the mail would leave a second later, so what moves it to the very time is not named.
    ledger = reserve({DRAFT: at, OTHER: at})
    found = explained(candidate(send_at=at), send_context(ledger=ledger), NOW, delay_hours=1)
    assert found == (at, Constraint.QUEUE, [(Constraint.QUEUE, at)])


def test_a_job_that_asks_later_sends_later() -> None:
    """A draft leaves when its job asks, though nothing else holds it until then."""
    queued = (Constraint.QUEUE, NOW + HOUR)
    assert explained(candidate(), send_context(), NOW, NOW + HOUR) == (NOW + HOUR, Constraint.QUEUE, [queued])
