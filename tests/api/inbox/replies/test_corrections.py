from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from api.http.resources import Services
from tests.api.inbox.replies.test_replies import deliver, reply
from tests.api.running import stop_clock
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

AWAY = "Auto-Submitted: auto-replied\r\n"


async def answered(outreach: Outreach, text: str, headers: str = "") -> tuple[str, dict[str, Any]]:
    """Send a mail and answer it; returns the id of the lead and the classified reply."""
    lead_id, mail = await outreach.send_one()
    await reply(outreach, mail, text, headers)
    (read,) = (await outreach.get("/replies"))["items"]
    return lead_id, read


async def correct(outreach: Outreach, read: dict[str, Any], **said: object) -> dict[str, Any]:
    """Correct a reply, and run the jobs."""
    corrected: dict[str, Any] = (await outreach.post(f"/replies/{read['id']}/correct", said)).json()
    await outreach.run_jobs()
    return corrected


async def enrollment(outreach: Outreach) -> dict[str, Any]:
    """Return the only enrollment."""
    (found,) = (await outreach.get("/enrollments"))["items"]
    return found  # type: ignore[no-any-return]


async def test_a_correction_to_unsubscribe(outreach: Outreach) -> None:
    """A reply that a user labels as unsubscribe suppresses the address at once."""
    lead_id, read = await answered(outreach, "Hmm. Well, well.")
    assert read["intent"] != "unsubscribe"

    corrected = await correct(outreach, read, intent="unsubscribe")

    assert (corrected["intent"], corrected["decidedBy"], corrected["needsReview"]) == ("unsubscribe", "person", False)
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Unsubscribed"
    assert (await enrollment(outreach))["status"] == "unsubscribed"
    (suppression,) = (await outreach.get("/suppressions"))["items"]
    assert (suppression["value"], suppression["reason"]) == ("thandi@lead.example", "unsubscribed")


async def test_a_suppression_outlives_a_correction(outreach: Outreach) -> None:
    """A suppression stays when the reply that caused it gets another intent."""
    _, read = await answered(outreach, "Please remove me from your list.")

    await correct(outreach, read, intent="interested")

    assert len((await outreach.get("/suppressions"))["items"]) == 1
    assert (await enrollment(outreach))["status"] == "unsubscribed"


async def test_a_correction_to_an_absence_resumes_the_enrollment(outreach: Outreach, services: Services) -> None:
    """A reply that turns out to be automatic no longer stops the sequence, which continues on the return date."""
    stop_clock(services.clock, datetime(2026, 11, 20, 9, tzinfo=UTC))
    _, read = await answered(outreach, "Sounds good, tell me more!")
    assert (await enrollment(outreach))["status"] == "replied"

    await correct(outreach, read, intent="out_of_office", returnDate="2026-11-25")

    waiting = await enrollment(outreach)
    assert (waiting["status"], waiting["pauseReason"]) == ("paused", "out_of_office")
    midnight = datetime(2026, 11, 24, 22, tzinfo=UTC)
    assert datetime.fromisoformat(waiting["resumeAt"]) == midnight
    for moment, status in ((midnight - timedelta(seconds=1), "paused"), (midnight, "active")):
        stop_clock(services.clock, moment)
        await outreach.run_jobs()
        assert (await enrollment(outreach))["status"] == status


async def test_a_later_return_date_defers_the_enrollment(outreach: Outreach, services: Services) -> None:
    """A corrected return date counts; on the first one nothing is resumed."""
    stop_clock(services.clock, datetime(2026, 11, 20, 9, tzinfo=UTC))
    _, read = await answered(outreach, "I am out of the office until 24 November 2026.", AWAY)
    assert read["returnDate"] == "2026-11-24"

    await correct(outreach, read, intent="out_of_office", returnDate="2026-11-27")

    midnight = datetime(2026, 11, 26, 22, tzinfo=UTC)
    waiting = await enrollment(outreach)
    assert (waiting["pauseReason"], datetime.fromisoformat(waiting["resumeAt"])) == ("out_of_office", midnight)
    for moment, status in (
        (datetime(2026, 11, 24, 6, tzinfo=UTC), "paused"),
        (midnight - timedelta(seconds=1), "paused"),
        (midnight, "active"),
    ):
        stop_clock(services.clock, moment)
        await outreach.run_jobs()
        assert (await enrollment(outreach))["status"] == status


async def test_a_correction_to_a_personal_reply(outreach: Outreach) -> None:
    """A reply that was classified as an absence stops the sequence after it is corrected to a personal one."""
    lead_id, read = await answered(outreach, "I am out of the office until further notice.", AWAY)
    assert (await enrollment(outreach))["status"] == "paused"

    corrected = await correct(outreach, read, intent="meeting_request")

    assert (corrected["isAutomatic"], (await enrollment(outreach))["status"]) == (False, "replied")
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Replied"


async def test_another_personal_reply_still_counts(outreach: Outreach) -> None:
    """If the lead has sent a personal reply too, a correction to an automatic one resumes nothing."""
    _, mail = await outreach.send_one()
    await reply(outreach, mail, "Sounds good, tell me more!")
    await reply(outreach, mail, "Sounds very interesting, please send me more information.")
    first = (await outreach.get("/replies", sort="receivedAt"))["items"][0]

    await correct(outreach, first, intent="other", isAutomatic=True)

    assert (await enrollment(outreach))["status"] == "replied"


async def test_corrections_are_listed(outreach: Outreach) -> None:
    """Each correction has the text of the reply, the previous intent, and the user."""
    _, read = await answered(outreach, "Sounds good, tell me more!")
    await correct(outreach, read, intent="question")
    await correct(outreach, read, intent="question")

    second, first = (await outreach.get("/replies/corrections"))["items"]

    assert (first["text"].strip(), first["subject"]) == ("Sounds good, tell me more!", "Re: One")
    before = [first[name] for name in ("intentBefore", "isAutomaticBefore", "confidenceBefore", "decidedByBefore")]
    assert before == [read["intent"], False, read["confidence"], "rules"]
    assert (first["intent"], first["isAutomatic"], second["decidedByBefore"]) == ("question", False, "person")
    me = (await outreach.client.get("/api/me")).json()["user"]["id"]
    assert [(correction["replyId"], correction["correctedBy"]) for correction in (first, second)] == [
        (read["id"], me),
    ] * 2
    assert {"name": "Subject", "value": "Re: One"} in first["headers"]


async def test_replies_to_review_are_listed(outreach: Outreach) -> None:
    """Replies with an uncertain intent are listed by needsReview until a user has set their intent."""
    _, read = await answered(outreach, "Hmm. Well, well.")
    assert read["needsReview"]
    assert len((await outreach.get("/replies", needsReview="true"))["items"]) == 1

    await correct(outreach, read, intent="other")

    assert (await outreach.get("/replies", needsReview="true"))["items"] == []


async def test_invalid_corrections(outreach: Outreach) -> None:
    """A return date without an absence is rejected with a reason, and an unknown reply is not found."""
    _, read = await answered(outreach, "Sounds good, tell me more!")
    path = f"{outreach.path}/replies"
    body = {"intent": "interested", "returnDate": "2026-12-01"}
    refused = await outreach.client.post(f"{path}/{read['id']}/correct", json=body)
    assert (refused.status_code, "out_of_office" in refused.text) == (422, True)
    unknown = await outreach.client.post(
        f"{path}/0190a2b0-0000-7000-8000-000000000000/correct", json={"intent": "other"}
    )
    assert unknown.status_code == 404


async def test_a_correction_before_the_classification(outreach: Outreach, database_url: str) -> None:
    """The intent that a user sets before the classification stays, and its effects are applied once."""
    _, mail = await outreach.send_one()
    await deliver(outreach, mail, "Sounds good, tell me more!")
    (unread,) = (await outreach.get("/replies"))["items"]
    assert unread["intent"] is None

    await correct(outreach, unread, intent="not_interested")

    (read,) = (await outreach.get("/replies"))["items"]
    assert (read["intent"], read["decidedBy"]) == ("not_interested", "person")
    assert (await enrollment(outreach))["status"] == "replied"
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        moves = await owner.execute("SELECT from_status, to_status FROM app.enrollment_events")
        assert await moves.fetchall() == [("active", "replied")]
