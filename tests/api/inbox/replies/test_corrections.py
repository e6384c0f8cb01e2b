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
    """Have one mail sent and answered; returns its lead's id and the reply as it was read."""
    lead_id, mail = await outreach.send_one()
    await reply(outreach, mail, text, headers)
    (read,) = (await outreach.get("/replies"))["items"]
    return lead_id, read


async def correct(outreach: Outreach, read: dict[str, Any], **said: object) -> dict[str, Any]:
    """Say what a reply means, and let everything that follows happen."""
    corrected: dict[str, Any] = (await outreach.post(f"/replies/{read['id']}/correct", said)).json()
    await outreach.run_jobs()
    return corrected


async def enrollment(outreach: Outreach) -> dict[str, Any]:
    """Return the one enrollment."""
    (found,) = (await outreach.get("/enrollments"))["items"]
    return found  # type: ignore[no-any-return]


async def test_an_overlooked_no_is_for_good(outreach: Outreach) -> None:
    """A reply that a person labels as unsubscribe suppresses the address at once."""
    lead_id, read = await answered(outreach, "Hmm. Well, well.")
    assert read["intent"] != "unsubscribe"

    corrected = await correct(outreach, read, intent="unsubscribe")

    assert (corrected["intent"], corrected["decidedBy"], corrected["needsReview"]) == ("unsubscribe", "person", False)
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Unsubscribed"
    assert (await enrollment(outreach))["status"] == "unsubscribed"
    (suppression,) = (await outreach.get("/suppressions"))["items"]
    assert (suppression["value"], suppression["reason"]) == ("thandi@lead.example", "unsubscribed")


async def test_a_suppression_outlives_a_correction(outreach: Outreach) -> None:
    """What was read as a no stays one when it is labelled otherwise: it is lifted where suppressions are."""
    _, read = await answered(outreach, "Please remove me from your list.")

    await correct(outreach, read, intent="interested")

    assert len((await outreach.get("/suppressions"))["items"]) == 1
    assert (await enrollment(outreach))["status"] == "unsubscribed"


async def test_an_absence_taken_for_an_answer_goes_on_after_it(outreach: Outreach, services: Services) -> None:
    """A reply that no person wrote stops the sequence no longer: it waits for the day of return, and then goes on."""
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


async def test_a_later_return_puts_it_off(outreach: Outreach, services: Services) -> None:
    """A corrected day of return holds; on the day that was read first nothing goes on."""
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


async def test_a_person_taken_for_a_machine(outreach: Outreach) -> None:
    """An answer that was read as an absence stops the sequence once a person says who wrote it."""
    lead_id, read = await answered(outreach, "I am out of the office until further notice.", AWAY)
    assert (await enrollment(outreach))["status"] == "paused"

    corrected = await correct(outreach, read, intent="meeting_request")

    assert (corrected["isAutomatic"], (await enrollment(outreach))["status"]) == (False, "replied")
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Replied"


async def test_who_answered_besides_stays_answered(outreach: Outreach) -> None:
    """Where a person wrote as well, a reply that turns out to be a machine's takes nothing back."""
    _, mail = await outreach.send_one()
    await reply(outreach, mail, "Sounds good, tell me more!")
    await reply(outreach, mail, "Sounds very interesting, please send me more information.")
    first = (await outreach.get("/replies", sort="receivedAt"))["items"][0]

    await correct(outreach, first, intent="other", isAutomatic=True)

    assert (await enrollment(outreach))["status"] == "replied"


async def test_corrections_are_a_data_set(outreach: Outreach) -> None:
    """Each correction is kept with the reply's words, what was made of it before, and who said what it means."""
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


async def test_who_is_asked_is_found(outreach: Outreach) -> None:
    """Replies that nobody could read are listed by needsReview until a person has said what they mean."""
    _, read = await answered(outreach, "Hmm. Well, well.")
    assert read["needsReview"]
    assert len((await outreach.get("/replies", needsReview="true"))["items"]) == 1

    await correct(outreach, read, intent="other")

    assert (await outreach.get("/replies", needsReview="true"))["items"] == []


async def test_nonsense_is_refused(outreach: Outreach) -> None:
    """A day of return of somebody who is not away, and a reply that is not there, are refused with a reason."""
    _, read = await answered(outreach, "Sounds good, tell me more!")
    path = f"{outreach.path}/replies"
    body = {"intent": "interested", "returnDate": "2026-12-01"}
    refused = await outreach.client.post(f"{path}/{read['id']}/correct", json=body)
    assert (refused.status_code, "out_of_office" in refused.text) == (422, True)
    unknown = await outreach.client.post(
        f"{path}/0190a2b0-0000-7000-8000-000000000000/correct", json={"intent": "other"}
    )
    assert unknown.status_code == 404


async def test_a_person_may_be_faster(outreach: Outreach, database_url: str) -> None:
    """What a person says of a reply that nobody has read yet stands, and is acted on once."""
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
