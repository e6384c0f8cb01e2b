"""A draft's one send in each state: what may claim it, how the call may end, and what follows from each end."""

from datetime import timedelta
from unittest.mock import ANY
from uuid import UUID, uuid4

import httpx
import pytest

from api.delivery.sending import service
from api.delivery.sending.eligibility import Blocked, ClaimLost, Deferred, Denied
from api.delivery.sending.repository import ClaimRun
from api.delivery.sending.service import Acceptance, Claim, SendRequest
from tests.api.states import EARLIER, LATER, NOW, Row, States, added, differing, moment
from tests.lifecycles import REFUSED, results_of
from tests.suppression_hash import suppression_hash
from tests.tables import ABSENT, Changes

pytestmark = pytest.mark.anyio

ATTEMPTS = results_of("""
          accepted  rejected  unknown  taken_back
none      -         -         -        -
claimed   accepted  rejected  unknown  none
unknown   accepted  rejected  -        none
accepted  -         -         -        -
rejected  -         -         -        -
""")
"""How an attempt ends: its caller or a person may still record the outcome of an unknown one; none is sent again."""
OUTCOMES = tuple(dict.fromkeys(outcome for outcome, _ in ATTEMPTS))
DELAY = timedelta(days=2)
ERROR = "no answer"


def add_mail(states: States, outcome: str, *, status: str = "active", steps: int = 2) -> tuple[str, str, str]:
    """Make a new lead whose first mail is on its way; returns the lead, the enrollment and the draft."""
    sequence_id, step_ids = states.add_sequence(steps=steps)
    for step_id in step_ids[1:]:
        states.put("sequence_steps", step_id, delay_days=DELAY.days)
    lead_id = states.add_lead(f"{uuid4()}@lead.example", "New")
    enrollment_id = states.add_enrollment(lead_id, sequence_id, status)
    draft_status = {"accepted": "sent", "rejected": "failed"}.get(outcome, "reviewed")
    reason = {"unknown": f"outcome unknown: {ERROR}", "rejected": ERROR}.get(outcome)
    attempt = None if outcome == "none" else outcome
    return (
        lead_id,
        enrollment_id,
        states.add_draft(enrollment_id, step_ids[0], draft_status, attempt, error_reason=reason),
    )


async def apply(states: States, event: str, draft_id: str) -> None:
    """Let a call end."""
    workspace_id, draft = UUID(states.workspace_id), UUID(draft_id)
    async with states.session() as session:
        match event:
            case "accepted":
                await service.record_acceptances(session, workspace_id, [Acceptance(draft, "tx-1", NOW)])
            case "rejected":
                await service.record_rejection(session, workspace_id, draft, ERROR)
            case "unknown":
                await service.record_unknown_outcome(session, workspace_id, draft, ERROR, LATER)
            case _:
                await service.release_claim(session, workspace_id, draft, NOW)


def take_jobs(changed: Changes) -> list[tuple[str, Row, str]]:
    """Take the jobs that were put on the queue out of what has changed: their types, payloads and times."""
    jobs = added(changed, "scheduled_jobs")
    changed.pop("app.scheduled_jobs", None)
    return [(job["job_type"], job["payload"], job["run_at"]) for job in jobs]


def attempt_of(states: States, draft_id: str) -> tuple[str, Row] | None:
    """Return the attempt to send a draft, as it was looked at last."""
    return next((item for item in states.seen["app.send_attempts"].items() if item[1]["draft_id"] == draft_id), None)


@pytest.mark.parametrize("event", ["accepted", "rejected", "unknown", "taken_back"])
async def test_each_end_of_a_call_in_each_state(states: States, event: str) -> None:
    """An end moves only an open attempt, with the draft, once; where it leads nowhere, no row changes.

    What was refused fails its draft, what is unknown is looked up, what is taken back can be sent, by its own job or,
    where that is gone, by a new one.
    """
    for outcome in OUTCOMES:
        _, _, draft_id = add_mail(states, outcome)
        states.look()
        attempt, draft = attempt_of(states, draft_id), states.seen["app.email_drafts"][draft_id]
        target = ATTEMPTS[outcome, event]

        await apply(states, event, draft_id)
        changed = states.changed()
        await apply(states, event, draft_id)
        assert states.changed() == {}, "the second end is none"

        if target == REFUSED:
            assert changed == {}, (outcome, event)
            continue
        assert attempt is not None
        attempt_id, row = attempt
        jobs, attempts = take_jobs(changed), changed.pop("app.send_attempts")
        drafts = changed.pop("app.email_drafts", {}).get(draft_id, {})
        if target == "none":
            assert attempts == {attempt_id: {name: (value, ABSENT) for name, value in row.items()}}
            was_unknown = outcome == "unknown"
            assert drafts == (differing(draft, error_reason=None) if was_unknown else {})
            assert jobs == [("send_email", {"draftId": draft_id}, moment(NOW))] * was_unknown
            (released,) = changed.pop("app.released_claims").values()
            assert released["draft_id"] == (ABSENT, draft_id)
            assert changed == {}
            continue
        moved = {"outcome": (outcome, target), "recorded_at": (None, ANY), "written_by": ANY}
        match target:
            case "accepted":
                assert attempts == {attempt_id: {**moved, "everlytic_transaction_id": (None, "tx-1")}}
                sent = {"status": "sent", "sent_at": moment(NOW), "everlytic_message_id": "tx-1", "error_reason": None}
                assert drafts == differing(draft, **sent)
                assert [job[0] for job in jobs] == ["generate_draft"]
            case "rejected":
                assert attempts == {attempt_id: {**moved, "error": (None, ERROR)}}
                assert drafts == differing(draft, status="failed", error_reason=ERROR)
                assert (jobs, changed) == ([], {})
            case _:
                assert attempts == {attempt_id: {**moved, "error": (None, ERROR)}}
                assert drafts == differing(draft, error_reason=f"outcome unknown: {ERROR}")
                assert jobs == [("reconcile_send", {"draftId": draft_id}, moment(LATER))]
                assert changed == {}


@pytest.mark.parametrize("steps", [2, 1], ids=["a step follows", "the last step"])
async def test_what_follows_a_mail_that_was_sent(states: States, steps: int) -> None:
    """Whatever the enrollment's state the mail is sent and the lead contacted; only one that goes on is set on.

    One that is active or paused gets its next step after its delay; after the last step only an active one completes.
    """
    for status in ("active", "paused", "replied", "completed", "unsubscribed"):
        lead_id, enrollment_id, draft_id = add_mail(states, "claimed", status=status, steps=steps)
        states.look()
        enrollment = states.seen["app.lead_enrollments"][enrollment_id]

        await apply(states, "accepted", draft_id)

        changed = states.changed()
        del changed["app.send_attempts"]
        drafts = changed.pop("app.email_drafts")
        assert drafts.pop(draft_id)["status"] == ("reviewed", "sent")
        assert changed.pop("app.leads") == {
            lead_id: {
                "status": ("New", "Contacted"),
                "last_activity_at": (None, moment(NOW)),
                "updated_at": ANY,
            }
        }
        (contacted,) = added(changed, "lead_events")
        assert (contacted["event"], contacted["cause"]) == ("email_sent", "email sent")
        del changed["app.lead_events"]
        jobs, goes_on = take_jobs(changed), status in {"active", "paused"}
        if steps == 2 and goes_on:
            ((next_id, following),) = drafts.items()
            facts = {name: following[name][1] for name in ("status", "step_order", "send_at", "enrollment_id")}
            assert facts == {
                "status": "pending",
                "step_order": 2,
                "send_at": moment(NOW + DELAY),
                "enrollment_id": enrollment_id,
            }
            assert jobs == [("generate_draft", {"draftId": next_id}, moment(NOW))]
            assert changed == {
                "app.lead_enrollments": {
                    enrollment_id: differing(enrollment, current_step_order=2, next_run_at=moment(NOW + DELAY))
                }
            }
        elif steps == 1 and status == "active":
            completed = differing(enrollment, status="completed", completed_at=moment(NOW), next_run_at=None)
            assert changed.pop("app.lead_enrollments") == {enrollment_id: completed}
            assert [row["event"] for row in added(changed, "enrollment_events")] == ["all_steps_done"]
            assert (drafts, jobs, list(changed)) == ({}, [], ["app.enrollment_events"])
        else:
            assert (drafts, jobs, changed) == ({}, [], {}), status


def add_standing(
    states: States,
    *,
    status: str = "reviewed",
    outcome: str | None = None,
    enrollment: str = "active",
    sequence: Row | None = None,
    lead: Row | None = None,
    suppressed: bool = False,
    send_at: object = EARLIER,
) -> str:
    """Make a draft on its way out that could be sent but for what is given, and return it."""
    sequence_id, (step_id,) = states.add_sequence(**(sequence or {}))
    email = f"{uuid4()}@lead.example"
    lead_id = states.add_lead(email, **(lead or {}))
    if suppressed:
        account_id = UUID(str(states.row("workspaces", states.workspace_id)["account_id"]))
        value = {"account_id": account_id, "value": email, "value_hash": suppression_hash(account_id, email)}
        facts = {"kind": "email", "reason": "manual", "source": "the test", "suppressed_at": EARLIER}
        states.add("suppressions", **value, **facts)
    enrollment_id = states.add_enrollment(lead_id, sequence_id, enrollment)
    return states.add_draft(enrollment_id, step_id, status, outcome, send_at=send_at)


STOPS: dict[str, tuple[Row, type[Denied], str]] = {
    "enrollment paused": ({"enrollment": "paused"}, Denied, "the enrollment is paused"),
    "enrollment replied": ({"enrollment": "replied"}, Denied, "the enrollment is replied"),
    "enrollment completed": ({"enrollment": "completed"}, Denied, "the enrollment is completed"),
    "enrollment unsubscribed": ({"enrollment": "unsubscribed"}, Denied, "the enrollment is unsubscribed"),
    "sequence in draft": ({"sequence": {"status": "Draft"}}, Denied, "the sequence is Draft"),
    "sequence paused": ({"sequence": {"status": "Paused"}}, Denied, "the sequence is Paused"),
    "sequence deleted": ({"sequence": {"deleted_at": EARLIER}}, Denied, "the sequence was deleted"),
    "lead unsubscribed": ({"lead": {"status": "Unsubscribed"}}, Blocked, "the lead has unsubscribed"),
    "lead deleted": ({"lead": {"deleted_at": EARLIER}}, Blocked, "the lead was deleted"),
    "lead erased": ({"lead": {"erased_at": EARLIER}}, Blocked, "the lead was erased"),
    "address suppressed": ({"suppressed": True}, Blocked, "the address is suppressed"),
}
"""What stops a mail, before its claim and after it."""


def start_run(states: States, draft_id: str) -> ClaimRun:
    """Give a claimed draft the job that claimed it, in its first run."""
    job_id = uuid4()
    states.owner.execute(
        "INSERT INTO app.scheduled_jobs (id, workspace_id, job_type, scheduled_for, run_at, status, attempts)"
        " VALUES (%s, %s, 'send_email', now(), now(), 'running', 1)",
        [job_id, states.workspace_id],
    )
    states.owner.execute("UPDATE app.send_attempts SET job_id = %s WHERE draft_id = %s", [job_id, draft_id])
    return ClaimRun(UUID(draft_id), job_id, 1)


async def claim(states: States, jobs: dict[str, UUID]) -> dict[str, object]:
    """Let jobs ask to send drafts, all at once; returns what each is answered."""
    requests = [SendRequest(UUID(draft_id), NOW, job_id) for draft_id, job_id in jobs.items()]
    async with states.session() as session:
        answers = await service.claim_drafts(session, UUID(states.workspace_id), requests)
    return dict(zip(jobs, answers, strict=True))


async def test_what_may_be_claimed(states: States) -> None:
    """Only a reviewed draft without an attempt, which nothing stops and which is due, is claimed, and once.

    Each other is told why not, or when; and apart from the claim no row changes.
    """
    states.add_connection()
    may, not_yet = add_standing(states), add_standing(states, send_at=LATER)
    stopped = {name: add_standing(states, **facts) for name, (facts, _, _) in STOPS.items()}
    tried = {
        (status, outcome): add_standing(states, status=status, outcome=outcome)
        for status, outcome in [
            *[(status, None) for status in ("pending", "drafted", "failed", "sent")],
            *[("reviewed", outcome) for outcome in ("claimed", "unknown", "accepted", "rejected")],
        ]
    }
    lost, own_job = add_standing(states, outcome="claimed"), uuid4()
    states.owner.execute("UPDATE app.send_attempts SET job_id = %s WHERE draft_id = %s", [own_job, lost])
    everyone = [may, not_yet, *stopped.values(), *tried.values()]
    states.look()

    answers = await claim(states, {draft_id: uuid4() for draft_id in everyone} | {lost: own_job})

    changed = states.changed()
    (attempt,) = added(changed, "send_attempts")
    facts = {name: attempt[name] for name in ("draft_id", "outcome", "claimed_at")}
    assert facts == {"draft_id": may, "outcome": "claimed", "claimed_at": moment(NOW)}
    assert list(changed) == ["app.send_attempts"]
    assert isinstance(answers[may], Claim)
    assert answers[not_yet] == Deferred(LATER, "deferred by step_delay")
    for name, (_, kind, reason) in STOPS.items():
        assert answers[stopped[name]] == kind(reason), name
    assert {kind: type(answers[draft_id]) for kind, draft_id in tried.items()} == dict.fromkeys(tried, Denied)
    assert isinstance(answers[lost], ClaimLost)

    answers = await claim(states, {may: uuid4()})
    assert answers == {may: Denied("the mail is being sent")}
    assert states.changed() == {}


async def test_what_is_claimed_is_stopped_by_what_would_have_kept_it(states: States) -> None:
    """Asked again before the call, a claimed mail may go out unless something has stopped it, which is named."""
    states.add_connection()
    goes = add_standing(states, outcome="claimed")
    stopped = {name: add_standing(states, outcome="claimed", **facts) for name, (facts, _, _) in STOPS.items()}
    runs = [start_run(states, draft_id) for draft_id in (goes, *stopped.values())]
    states.look()
    async with states.session() as session:
        first, *answers = await service.confirm_claims(session, UUID(states.workspace_id), runs)
    assert (first.stop_reason, first.blocked_until) == (None, None)
    assert [answer.stop_reason for answer in answers] == [reason for _, _, reason in STOPS.values()]
    assert states.changed() == {}


async def test_what_is_forbidden_fails_and_waits_for_a_person(states: States) -> None:
    """A mail that may never go out fails with the reason and pauses its lead's enrollments, unless it is being sent.

    What is allowed by now is left alone.
    """
    states.add_connection()
    forbidden = [name for name, (_, kind, _) in STOPS.items() if kind is Blocked]
    drafts = {name: add_standing(states, **STOPS[name][0]) for name in forbidden}
    being_sent = {name: add_standing(states, outcome="claimed", **STOPS[name][0]) for name in forbidden}
    waiting = {name: add_standing(states, enrollment="paused", **STOPS[name][0]) for name in forbidden}
    allowed = add_standing(states)
    states.look()
    draft_ids = [*drafts.values(), *being_sent.values(), *waiting.values(), allowed]
    for _ in range(2):
        async with states.session() as session:
            requests = [SendRequest(UUID(draft_id), NOW, uuid4()) for draft_id in draft_ids]
            await service.block_drafts(session, UUID(states.workspace_id), requests)
    changed = states.changed()
    assert changed.pop("app.email_drafts") == {
        draft_id: {
            "status": ("reviewed", "failed"),
            "error_reason": (None, STOPS[name][2]),
            "updated_at": ANY,
        }
        for kept in (drafts, waiting)
        for name, draft_id in kept.items()
    }
    paused = changed.pop("app.lead_enrollments")
    assert sorted(row["pause_reason"][1] for row in paused.values()) == sorted(STOPS[name][2] for name in forbidden)
    assert {row["status"] for row in paused.values()} == {("active", "paused")}
    assert set(paused) == {str(states.row("email_drafts", draft_id)["enrollment_id"]) for draft_id in drafts.values()}
    assert len(added(changed, "enrollment_events")) == len(forbidden)
    assert list(changed) == ["app.enrollment_events"]


@pytest.mark.parametrize("hours", [23, 24], ids=["looked for", "stuck"])
async def test_what_a_person_may_settle(app_client: httpx.AsyncClient, states: States, hours: int) -> None:
    """Only a send of unknown outcome is settled: as sent at any time, as not sent once it is stuck, and only once.

    Each refusal leaves every row as it is.
    """
    me = (await app_client.get("/api/me")).json()["user"]["id"]
    is_stuck = hours == 24
    for decision in ("sent", "not_sent"):
        for outcome in OUTCOMES:
            _, _, draft_id = add_mail(states, outcome)
            claimed_at = NOW - timedelta(hours=hours)
            states.owner.execute(
                "UPDATE app.send_attempts SET claimed_at = %s WHERE draft_id = %s", [claimed_at, draft_id]
            )
            states.look()
            path = f"/api/workspaces/{states.workspace_id}/unknown-sends/{draft_id}/settle"
            body = {"decision": decision, "note": "asked by phone"}

            response = await app_client.post(path, json=body)

            changed, code = states.changed(), response.json().get("code")
            if outcome == "none":
                assert (response.status_code, changed) == (404, {})
            elif outcome != "unknown":
                assert (response.status_code, code, changed) == (409, "outcome_known", {})
            elif decision == "not_sent" and not is_stuck:
                assert (response.status_code, code, changed) == (409, "not_stuck_yet", {})
            else:
                assert response.status_code == 200, response.text
                (settlement,) = added(changed, "send_settlements")
                facts = {
                    name: settlement[name] for name in ("draft_id", "decision", "decided_by", "note", "decided_at")
                }
                assert facts == {
                    "draft_id": draft_id,
                    "decision": decision,
                    "decided_by": me,
                    "note": "asked by phone",
                    "decided_at": moment(NOW),
                }
                assert states.row("email_drafts", draft_id)["status"] == ("sent" if decision == "sent" else "reviewed")
                jobs = [job[0] for job in take_jobs(changed)]
                assert jobs == ["generate_draft" if decision == "sent" else "send_email"]
                assert (await app_client.post(path, json=body)).status_code == (409 if decision == "sent" else 404)
                assert states.changed() == {}
