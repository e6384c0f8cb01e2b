"""A guard over a sequence's life, against a model of what api.md says: trips, is lifted, and trips again."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from unittest.mock import ANY
from uuid import UUID

import pytest

from api.outreach.sequences import service as sequences
from tests.api.states import NOW, States
from tests.tables import Changes

pytestmark = pytest.mark.anyio

SAMPLE, MAX_BOUNCES, COMPLAINT_SAMPLE, MAX_COMPLAINTS, DAILY = 5, Fraction(2, 5), 8, Fraction(1, 4), 3
ZONE, NEXT_DAY = "Pacific/Pago_Pago", 60
"""A zone, and the minute of the walk at which its next day begins."""
MINUTE = timedelta(minutes=1)
STEPS = 70


@dataclass
class Mail:
    """A mail of the sequence, and what was heard of it in order."""

    draft_id: str
    minute: int
    heard: list[str] = field(default_factory=list)
    complained: int | None = None
    """The minute of the first complaint."""

    @property
    def has_bounced(self) -> bool:
        """Whether it counts as bounced: hard, or soft and not delivered after it."""
        soft = [index for index, event in enumerate(self.heard) if event == "soft"]
        delivered = [index for index, event in enumerate(self.heard) if event == "delivered"]
        return "hard" in self.heard or bool(soft and (not delivered or soft[-1] > delivered[-1]))


@dataclass
class Model:
    """What is known of the sequence: its mails, when it was activated, and why it is paused."""

    mails: list[Mail] = field(default_factory=list)
    activated: int = -1
    reason: str | None = None

    def check(self) -> None:
        """Pause where the mails since the activation bounced, or were complained about, more than is allowed."""
        if self.reason is not None:
            return
        sent = [mail for mail in self.mails if mail.minute > self.activated]
        last, latest = sent[-SAMPLE:], sent[-COMPLAINT_SAMPLE:]
        bounced = sum(mail.has_bounced for mail in last)
        complained = sum(mail.complained is not None for mail in latest)
        days = Counter(3 + (mail.complained >= NEXT_DAY) for mail in sent if mail.complained is not None)
        worst, on_worst = max(days.items(), key=lambda day: (day[1], day[0]), default=(0, 0))
        if bounced > MAX_BOUNCES * SAMPLE:
            of = "" if len(last) >= SAMPLE else f" of {SAMPLE}"
            words = f"bounce guard: {bounced} of the last {len(last)} mails bounced (more than 40 %{of})"
        elif complained > MAX_COMPLAINTS * COMPLAINT_SAMPLE:
            of = "" if len(latest) >= COMPLAINT_SAMPLE else f" of {COMPLAINT_SAMPLE}"
            words = f"complaint guard: {complained} of the last {len(latest)} mails were complained about"
            words += f" (more than 25 %{of})"
        elif on_worst >= DAILY:
            words = f"complaint guard: {on_worst} mails were complained about on 2026-03-0{worst} (limit {DAILY} a day)"
        else:
            return
        self.reason = f"paused by the {words}"


@pytest.mark.parametrize("seed", [0, 1])
async def test_a_guard_through_the_life_of_a_sequence(states: States, seed: int) -> None:
    """Whatever is sent, heard, activated and paused in whatever order, the sequence pauses when the model says so.

    What was sent before an activation does not count after it, and a sequence that is paused is not paused again.
    """
    states.owner.execute(
        "UPDATE app.workspaces SET guard_sample = %s, max_bounce_rate = 0.4, complaint_sample = %s,"
        " max_complaint_rate = 0.25, max_daily_complaints = %s, timezone = %s",
        [SAMPLE, COMPLAINT_SAMPLE, DAILY, ZONE],
    )
    sequence_id, (step_id,) = states.add_sequence()
    model, chance, trips = Model(), random.Random(seed), 0
    for minute in range(STEPS):
        now = NOW + minute * MINUTE
        was = model.reason
        act = chance.choices(["send", "hear", "activate"], [4, 6, 1])[0]
        if act == "send" and model.reason is None:
            lead_id = states.add_lead(f"lead{minute}@lead.example")
            enrollment_id = states.add_enrollment(lead_id, sequence_id)
            model.mails.append(Mail(states.add_draft(enrollment_id, step_id, "sent", sent_at=now), minute))
        elif act == "hear" and model.mails:
            mail = chance.choice(model.mails[-COMPLAINT_SAMPLE - 2 :])
            event = chance.choice(["hard", "soft", "delivered", "delivered", "complained", "complained"])
            mail.heard.append(event)
            if event == "complained" and mail.complained is None:
                mail.complained = minute
            hear(states, mail.draft_id, event, minute)
            model.check()
        elif act == "activate" and model.reason is not None:
            model.activated, model.reason = minute, None
            async with states.session() as session:
                await sequences.activate_sequence(session, UUID(states.workspace_id), UUID(sequence_id), now)
        if act != "send":
            async with states.session() as session:
                await sequences.pause_unhealthy_sequences(session, UUID(states.workspace_id), [UUID(sequence_id)])
        row = states.row("sequences", sequence_id)
        assert (row["status"], row["pause_reason"]) == ("Paused" if model.reason else "Active", model.reason), minute
        trips += was is None and model.reason is not None
    assert trips > 1, "the walk is to trip the guard again after it was lifted"


def hear(states: States, draft_id: str, event: str, minute: int) -> None:
    """Store what Everlytic tells of a mail."""
    kinds = {"hard": "bounced", "soft": "bounced"}
    bounce_kind = {"hard": "address", "soft": "unknown"}.get(event)
    states.owner.execute(
        "INSERT INTO app.email_events (workspace_id, draft_id, type, bounce_kind, occurred_at, provider_event_key)"
        " VALUES (%s, %s, %s, %s, %s, gen_random_uuid()::text)",
        [states.workspace_id, draft_id, kinds.get(event, event), bounce_kind, NOW + minute * MINUTE],
    )


async def test_only_an_active_sequence_that_is_checked_pauses(states: States) -> None:
    """In any other state, and beside it, a sequence with the same bounces stays; a guard that is off pauses nothing."""
    states.owner.execute("UPDATE app.workspaces SET guard_sample = 1, max_bounce_rate = 0, max_complaint_rate = NULL")

    def bad(**values: object) -> str:
        sequence_id, (step_id,) = states.add_sequence(steps=1, **values)
        enrollment_id = states.add_enrollment(states.add_lead(f"{sequence_id}@lead.example"), sequence_id)
        hear(states, states.add_draft(enrollment_id, step_id, "sent", sent_at=NOW), "hard", 0)
        return sequence_id

    active, beside = bad(), bad()
    others = [bad(status="Draft"), bad(status="Paused"), bad(status="Paused", pause_reason="by a guard")]
    others += [bad(deleted_at=NOW), bad(activated_at=NOW)]
    states.look()

    async def check(*sequence_ids: str) -> Changes:
        async with states.session() as session:
            await sequences.pause_unhealthy_sequences(
                session, UUID(states.workspace_id), [UUID(sequence_id) for sequence_id in sequence_ids]
            )
        return states.changed()

    assert await check() == {}
    assert await check(*others) == {}
    reason = "paused by the bounce guard: 1 of the last 1 mails bounced (more than 0 %)"
    paused = {"status": ("Active", "Paused"), "pause_reason": (None, reason), "updated_at": ANY}
    assert await check(active, *others) == {"app.sequences": {active: paused}}
    assert await check(active) == {}
    states.owner.execute("UPDATE app.workspaces SET max_bounce_rate = NULL")
    states.look()
    assert await check(beside) == {}
    assert states.row("sequences", beside)["status"] == "Active"
