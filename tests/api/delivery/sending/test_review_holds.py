"""No sequence of the account mails a person whose reply waits for a user."""

from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.sending import repository as sending
from api.delivery.sending.eligibility import AWAITS_REVIEW, REVIEW_RETRY
from api.http.resources import Services
from api.inbox.inbound import repository as inbound
from api.people.suppressions import repository as suppressions
from tests.api.inbox.replies.test_replies import reply
from tests.api.running import stop_clock
from tests.api.sending_workspace import Connector, Outreach
from tests.blocking import Blocking
from tests.database.rows import NOW
from tests.trials.trial import MONDAY

pytestmark = pytest.mark.anyio

UNCLEAR = "Skąd macie mój adres?"
CLEAR = "Sounds interesting, please send me a proposal."


async def enroll_again(outreach: Outreach, *lead_ids: str) -> None:
    """Send a mail of another sequence to leads."""
    sequence_id = await outreach.add_sequence("Another")
    await outreach.enroll(sequence_id, *lead_ids)
    await outreach.run_jobs()


def mails_to(outreach: Outreach, address: str) -> int:
    """Return how many mails the provider accepted for an address."""
    return sum(mail["recipient"] == address for mail in outreach.mails())


async def find_reply(outreach: Outreach) -> dict[str, Any]:
    """Return the only reply."""
    (read,) = (await outreach.get("/replies"))["items"]
    return read  # type: ignore[no-any-return]


@pytest.mark.parametrize(("text", "count"), [(UNCLEAR, 1), (CLEAR, 2)])
async def test_an_unclear_reply_holds_other_sequences(
    outreach: Outreach, services: Services, text: str, count: int
) -> None:
    """Another sequence does not mail a lead whose reply is unclear, but others and one with a clear reply."""
    stop_clock(services.clock, MONDAY)
    lead_id, mail = await outreach.send_one()
    await reply(outreach, mail, text)
    other_id = await outreach.add_lead("sipho@lead.example")

    await enroll_again(outreach, lead_id, other_id)

    assert (mails_to(outreach, "thandi@lead.example"), mails_to(outreach, "sipho@lead.example")) == (count, 1)
    assert (await find_reply(outreach))["needsReview"] is (count == 1)


async def test_the_hold_is_explained(outreach: Outreach, services: Services) -> None:
    """`explain` and the job of the mail name the hold."""
    stop_clock(services.clock, MONDAY)
    lead_id, mail = await outreach.send_one()
    await reply(outreach, mail, UNCLEAR)
    await enroll_again(outreach, lead_id)
    (waiting,) = (await outreach.get("/enrollments", leadId=lead_id, status="active"))["items"]
    assert (await outreach.get(f"/enrollments/{waiting['id']}/explain"))["holds"] == [AWAITS_REVIEW]
    (job,) = (await outreach.get("/jobs", type="send_email", status="pending"))["items"]
    assert job["lastError"] == AWAITS_REVIEW


@pytest.mark.parametrize(("intent", "count"), [("interested", 1), ("unsubscribe", 0)])
async def test_a_decision_lifts_the_hold(
    outreach: Outreach, services: Services, connector: Connector, intent: str, count: int
) -> None:
    """Another workspace of the account does not mail the person under another spelling before a user has decided."""
    stop_clock(services.clock, MONDAY)
    _, mail = await outreach.send_one()
    await reply(outreach, mail, UNCLEAR)
    other = await connector.add(outreach.client)
    lead_id = await other.add_lead("thandi+news@lead.example")

    await enroll_again(other, lead_id)
    stop_clock(services.clock, MONDAY + REVIEW_RETRY)
    await outreach.run_jobs()
    assert mails_to(other, "thandi+news@lead.example") == 0

    await outreach.post(f"/replies/{(await find_reply(outreach))['id']}/correct", {"intent": intent})
    stop_clock(services.clock, MONDAY + 2 * REVIEW_RETRY)
    await outreach.run_jobs()
    assert mails_to(other, "thandi+news@lead.example") == count


async def store(session: AsyncSession, blocking: Blocking) -> None:
    """Store a reply to the mail of the fixture."""
    values = {
        "lead_id": blocking.ids["app.leads"],
        "draft_id": blocking.ids["app.email_drafts"],
        "message_id": "<1@lead.example>",
        "from_email": "another@lead.example",
        "subject": "",
        "text": "Hm.",
        "received_at": NOW,
        "report": None,
    }
    await inbound.add_reply(session, blocking.workspace_id, values)


async def claim(session: AsyncSession, blocking: Blocking) -> list[bool]:
    """Lock as a claim does; returns whether it, and the last check, find that a reply waits."""
    draft_ids = [blocking.ids["app.email_drafts"]]
    await suppressions.lock_shared(session, blocking.ids["app.accounts"])
    candidates = await sending.list_candidates(session, blocking.workspace_id, draft_ids)
    states = await sending.get_send_states(session, blocking.workspace_id, draft_ids)
    return [candidates[0].awaits_review, states[draft_ids[0]][0].awaits_review]


@pytest.mark.locks("database/migrations:app.lock_suppressions")
async def test_a_reply_waits_for_the_claims_of_its_account(blocking: Blocking) -> None:
    """A reply is committed after the claims that have not seen it; later claims, and last checks, see it."""
    blocking.run("DELETE FROM app.replies")
    async with blocking.kept_open(partial(claim, blocking=blocking)) as claiming:
        assert claiming.result == [False, False]
        storing = await blocking.start_waiting(partial(store, blocking=blocking), claiming.pid)
        assert blocking.run("SELECT count(*) FROM app.replies") == [(0,)]
    await storing
    assert await blocking.run_alone(partial(claim, blocking=blocking)) == [True, True]


async def test_a_reply_does_not_wait_for_other_accounts(blocking: Blocking) -> None:
    """The claims of another account do not keep a reply from being stored."""
    async with blocking.kept_open(partial(suppressions.lock_shared, account_id=UUID(int=1))):
        await blocking.run_alone(partial(store, blocking=blocking))


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ({"intent": None, "is_automatic": None}, True),
        ({"intent": "other", "is_automatic": False, "needs_review": True}, True),
        ({"intent": "other", "is_automatic": False, "needs_review": False}, False),
        ({"intent": "other", "is_automatic": True, "needs_review": True}, False),
    ],
)
async def test_which_replies_hold(blocking: Blocking, values: dict[str, Any], holds: bool) -> None:
    """A person's reply holds until it is classified and needs no review; an automatic one does not."""
    blocking.run("DELETE FROM app.replies")
    await blocking.run_alone(partial(store, blocking=blocking))
    columns = ", ".join(f"{column} = %s" for column in values)
    blocking.run(f"UPDATE app.replies SET {columns}", *values.values())

    assert await blocking.run_alone(partial(claim, blocking=blocking)) == [holds, holds]
