"""What each bounce does to the lead, to its sequence and to the other sequences of the connection."""

import json
from typing import Any
from uuid import UUID

import pytest

from domain.bounce import CONNECTION_REFUSALS, BounceKind
from tests.api.delivery.events.worlds import SENT_AT, Provider, polled, pushed

pytestmark = pytest.mark.anyio

_STOPS = """
SELECT (SELECT count(*) FROM app.suppressions),
       (SELECT count(*) FROM app.lead_enrollments WHERE status = 'paused'),
       (SELECT count(*) FROM app.sequences WHERE status = 'Paused')
"""
_SEQUENCES = "SELECT status, pause_reason FROM app.sequences ORDER BY id"


async def stops_of(provider: Provider) -> tuple[int, int, int]:
    """Return how many addresses are suppressed, enrollments paused and sequences paused."""
    ((suppressed, enrollments, sequences),) = await provider.ask(_STOPS, [])
    return suppressed, enrollments, sequences


async def kinds_of(provider: Provider, draft_id: UUID) -> list[str | None]:
    """Return the kind of each event of a mail."""
    rows = await provider.ask("SELECT bounce_kind FROM app.email_events WHERE draft_id = %s ORDER BY id", [draft_id])
    return [kind for (kind,) in rows]


@pytest.mark.parametrize(
    ("type_", "data", "kind", "stops"),
    [
        ("bounce", {"bounce_type": "soft", "bounce_reason": "4.2.2 mailbox full"}, "mailbox_full", (0, 0, 0)),
        ("bounce", {"bounce_type": " SOFT ", "bounce_reason": "greylisted"}, "unknown", (0, 0, 0)),
        ("bounce", {"bounce_type": "transient", "bounce_reason": "4.7.1 try again later"}, "unknown", (0, 0, 0)),
        ("bounce", {"bounce_type": None, "bounce_reason": ""}, "unknown", (0, 0, 0)),
        ("bounce", {"bounce_type": "HARD", "bounce_reason": "5.1.1 user unknown"}, "address", (1, 1, 0)),
        ("bounce", {"bounce_reason": "550 5.1.1 no such user"}, "address", (1, 1, 0)),
        ("bounce", {"bounce": {"Type": "Permanent", "status": "5.1.1"}}, "address", (1, 1, 0)),
        ("failed", {"reason": "5.1.1 user unknown"}, "address", (1, 1, 0)),
        ("failed", {}, "unknown", (0, 0, 0)),
        ("bounce", {"bounce_type": "hard", "bounce_reason": "554 5.6.0 malformed"}, "content", (0, 0, 0)),
        ("bounce", {"bounce_type": "hard", "bounce_reason": "policy-related"}, "policy", (0, 0, 2)),
        ("bounce", {"bounce_type": "hard", "bounce_reason": "5.7.26 DMARC"}, "authentication", (0, 0, 2)),
        ("bounce", {"bounce_type": "soft", "bounce_reason": "policy-related"}, "unknown", (0, 0, 0)),
        ("delivered", {"bounce_type": "hard"}, None, (0, 0, 0)),
    ],
)
async def test_only_the_address_suppresses_and_only_the_sender_pauses(
    provider: Provider, type_: str, data: dict[str, Any], kind: str | None, stops: tuple[int, int, int]
) -> None:
    """A bounce of the address stops its lead, one of the sender pauses all sequences, any other stops nothing."""
    await provider.ask("UPDATE app.workspaces SET max_bounce_rate = NULL RETURNING 1", [])
    (draft_id,), _ = await provider.send(), await provider.send()
    await provider.push(pushed(type_, draft_id, 600, **data))
    await provider.apply()
    assert await kinds_of(provider, draft_id) == [kind]
    assert await stops_of(provider) == stops


async def test_a_paused_sequence_gives_the_reason_without_the_address(provider: Provider) -> None:
    """The reason of the pause has the provider's sentence, without the recipient's address."""
    (draft_id,) = await provider.send()
    reason = "550 5.7.1 <thandi@lead.example>: blocked, see example.net"
    await provider.push(pushed("bounce", draft_id, 600, bounce_type="hard", bounce_reason=reason))
    await provider.apply()
    assert await provider.ask("SELECT pause_reason FROM app.sequences", []) == [
        (f"{CONNECTION_REFUSALS[BounceKind.POLICY]}: 550 5.7.1 …: blocked, see example.net",)
    ]


async def test_a_sequence_that_was_resumed_pauses_by_later_mails_only(provider: Provider) -> None:
    """After a user resumed a sequence, refusals of mails sent before leave it active; one sent since pauses it."""
    await provider.ask("UPDATE app.workspaces SET max_bounce_rate = NULL RETURNING 1", [])
    first, second, third = await provider.send(3)
    refusal = {"bounce_type": "hard", "bounce_reason": "policy-related"}
    await provider.push(pushed("bounce", first, 600, **refusal))
    await provider.apply()
    resume = "UPDATE app.sequences SET status = 'Active', activated_at = %s + interval '1 hour' RETURNING 1"
    await provider.ask(resume, [SENT_AT])
    await provider.push(pushed("bounce", second, 900, **refusal))
    await provider.apply()
    assert [status for status, _ in await provider.ask(_SEQUENCES, [])] == ["Active"]
    claim = "UPDATE app.send_attempts SET claimed_at = %s + interval '1 hour' WHERE draft_id = %s RETURNING 1"
    await provider.ask(claim, [SENT_AT, third])
    await provider.push(pushed("bounce", third, 4000, **refusal))
    await provider.apply()
    assert [status for status, _ in await provider.ask(_SEQUENCES, [])] == ["Paused"]


async def test_the_first_refusal_pauses_a_sequence_activated_after_the_mail(provider: Provider) -> None:
    """A sequence that was activated before any refusal was known pauses, even if the refused mail is older."""
    (draft_id,) = await provider.send()
    await provider.ask("UPDATE app.sequences SET activated_at = %s + interval '1 hour' RETURNING 1", [SENT_AT])
    await provider.push(pushed("bounce", draft_id, 600, bounce_type="hard", bounce_reason="policy-related"))
    await provider.apply()
    assert [status for status, _ in await provider.ask(_SEQUENCES, [])] == ["Paused"]


async def test_another_workspace_goes_on(provider: Provider) -> None:
    """A refusal pauses the sequences of its own workspace; those of another workspace stay active."""
    (draft_id,) = await provider.send()
    await provider.ask(
        "WITH other AS (INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email)"
        " SELECT account_id, 'Other', 'Ann', 'ann@acme.example' FROM app.workspaces LIMIT 1 RETURNING id)"
        " INSERT INTO app.sequences (workspace_id, name, status) SELECT id, 'Other', 'Active' FROM other RETURNING 1",
        [],
    )
    await provider.push(pushed("bounce", draft_id, 600, bounce_type="hard", bounce_reason="policy-related"))
    await provider.apply()
    assert sorted(status for status, _ in await provider.ask(_SEQUENCES, [])) == ["Active", "Paused"]


async def test_a_repeated_bounce_that_gives_its_kind_acts_then(provider: Provider) -> None:
    """A webhook without a type stops nothing; the polled copy of it that names the address does, as one event."""
    (draft_id,) = await provider.send()
    await provider.push(pushed("bounce", draft_id, 600))
    await provider.apply()
    assert (await kinds_of(provider, draft_id), await stops_of(provider)) == (["unknown"], (0, 0, 0))
    for _ in range(2):
        await provider.poll(polled("bounce", draft_id, 600, bounce_type="hard", bounce_reason="5.1.1 user unknown"))
        await provider.apply()
        assert (await kinds_of(provider, draft_id), await stops_of(provider)) == (["address"], (1, 1, 0))
        ((data,),) = await provider.ask("SELECT data FROM app.email_events", [])
        assert data["bounce_reason"] == "5.1.1 user unknown"
    await provider.push(pushed("bounce", draft_id, 600, bounce_type="soft", bounce_reason="mailbox full"))
    await provider.apply()
    assert await kinds_of(provider, draft_id) == ["address"]


@pytest.mark.parametrize("spelling", ["ute@xn--bcher-kva.example", "ute@bücher.example", "Ute B@BÜCHER.example", None])
async def test_the_recipients_spelling_makes_no_other_event(provider: Provider, spelling: str | None) -> None:
    """One event reported by three feeds, with the recipient spelled in another way each time, is stored once."""
    (draft_id,) = await provider.send()
    form = (
        f"event_id=f1&event_type=open&event_date=2026-03-02+09:10:00&email_to=ute+b2b@x.example&message_id={draft_id}"
    )
    await provider.push(form.encode(), content_type="application/x-www-form-urlencoded")
    await provider.poll(polled("open", draft_id, 600) | {"email_to": spelling})
    await provider.push(pushed("open", draft_id, 600))
    await provider.apply()
    assert [event["second"] for event in await provider.events(draft_id)] == [600]


@pytest.mark.parametrize(
    ("time", "second", "is_marked"),
    [
        ("2026-03-02T09:30:00Z", 1800, False),
        ("2026-03-02T11:30:00+02:00", 1800, False),
        (1772443800, 1800, False),
        ("1772443800", 1800, False),
        (1772443800000, 1800, False),
        ("1772443800000", 1800, False),
        ("2026-03-02 09:30:00", 1800, False),
        ("2026-03-02T09:00:00Z", 0, False),
        ("2026-03-02T08:59:59Z", 0, True),
        (1, 0, True),
        ("2026-03-02T10:00:00Z", 3600, False),
        ("2026-03-02T10:00:01Z", 3600, True),
        ("2027-03-02T10:00:00Z", 3600, True),
        ("0000-00-00 00:00:00", 3600, False),
        (0, 3600, False),
        ("", 3600, False),
        (None, 3600, False),
    ],
)
async def test_a_time_is_within_the_sending_and_the_receipt(
    provider: Provider, time: object, second: int, is_marked: bool
) -> None:
    """Each spelling of a time is read; a time before the claim or after the receipt is moved there and marked."""
    (draft_id,) = await provider.send()
    event = {"event_id": "t", "event_type": "open", "event_date": time, "message_id": str(draft_id)}
    await provider.push(json.dumps({"event": event}).encode())
    await provider.ask(
        "UPDATE everlytic.webhook_deliveries SET received_at = %s + interval '1 hour' RETURNING 1", [SENT_AT]
    )
    await provider.apply()
    assert [event["second"] for event in await provider.events(draft_id)] == [second]
    assert await provider.ask("SELECT reported_at IS NOT NULL FROM app.email_events", []) == [(is_marked,)]
