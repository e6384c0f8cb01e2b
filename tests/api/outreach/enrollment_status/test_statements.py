"""Each statement of enrollments beside rows that differ from its own in one condition, and what enrolling counts."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import Cursors, PageRequest
from api.outreach.enrollment_status import repository as status_repository
from api.outreach.enrollment_status import service as enrollment_status
from domain.enrollment import EnrollmentEvent
from tests.comparing import compared
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

ENROLLMENTS, DRAFTS, LEADS, SEQUENCES = "app.lead_enrollments", "app.email_drafts", "app.leads", "app.sequences"
UNKNOWN = UUID(int=7)
PAGE = PageRequest(50, "-createdAt", None, "", Cursors("a key"))


def add(workspaces: TwoWorkspaces, **values: Any) -> tuple[UUID, UUID]:
    """Insert a lead and its enrollment; returns both."""
    lead_id = workspaces.add(LEADS)
    return lead_id, workspaces.add(ENROLLMENTS, lead_id=lead_id, **values)


async def test_only_the_chosen_enrollments_move(two_workspaces: TwoWorkspaces) -> None:
    """Chosen by leads, by ids, by sequence or by all three, every other enrollment and its history stay."""
    workspaces = two_workspaces
    other_sequence = workspaces.add(SEQUENCES)
    (lead_id, first), (_, second) = add(workspaces), add(workspaces)
    elsewhere = workspaces.add(ENROLLMENTS, lead_id=lead_id, sequence_id=other_sequence)
    add(workspaces, sequence_id=other_sequence)

    async def pause(session: AsyncSession, **chosen: Any) -> list[UUID]:
        return await status_repository.apply_event(
            session, workspaces.id, EnrollmentEvent.PAUSED, cause="test", now=NOW, **chosen
        )

    by_id = await compared(workspaces, lambda session: pause(session, ids=[second]))
    by_all = await compared(
        workspaces,
        lambda session: pause(session, ids=[first, elsewhere], lead_ids=[lead_id], sequence_id=other_sequence),
    )
    by_lead = await compared(workspaces, lambda session: pause(session, lead_ids=[lead_id]))
    for moved, expected in ((by_id, second), (by_all, elsewhere), (by_lead, first)):
        assert moved.result == [expected]
        assert moved.rows[ENROLLMENTS] == {expected}
        (history,) = moved.changes["app.enrollment_events"].values()
        assert history["enrollment_id"][1] == str(expected)
    sequence_id = workspaces.ids[SEQUENCES]
    by_sequence = await compared(workspaces, lambda session: pause(session, sequence_id=sequence_id))
    assert by_sequence.rows[ENROLLMENTS] == {workspaces.ids[ENROLLMENTS]}


async def test_only_what_an_answer_stopped_last_is_returned(two_workspaces: TwoWorkspaces) -> None:
    """An enrollment counts while its own last event is the answer's: of the same lead, event and cause."""
    workspaces = two_workspaces
    event, cause = EnrollmentEvent.REPLY_RECEIVED, "reply 1"
    lead_id = workspaces.add(LEADS)

    def enrollment(*events: tuple[str, str], of: UUID = lead_id) -> UUID:
        enrollment_id = workspaces.add(ENROLLMENTS, lead_id=of, sequence_id=workspaces.add(SEQUENCES))
        for name, its_cause in events:
            values: dict[str, Any] = {
                "from_status": "active",
                "to_status": "replied",
                "event": name,
                "cause": its_cause,
            }
            workspaces.add("app.enrollment_events", enrollment_id=enrollment_id, **values)
        return enrollment_id

    stopped = enrollment(("paused", "test"), (event.value, cause))
    enrollment((event.value, cause), ("resumed", "test"))  # moved since
    enrollment((event.value, "reply 2"))
    enrollment(("stopped", cause))
    enrollment()
    enrollment((event.value, cause), of=workspaces.add(LEADS))

    found = await compared(
        workspaces, lambda session: status_repository.list_stopped_by(session, workspaces.id, lead_id, event, cause)
    )
    assert found.result == [stopped]


async def test_only_pauses_of_these_leads_are_deferred(two_workspaces: TwoWorkspaces) -> None:
    """A new day of return is written where the lead, the status and the reason are the ones named."""
    workspaces, later = two_workspaces, NOW + timedelta(days=3)
    paused: dict[str, Any] = {"status": "paused", "pause_reason": "out_of_office", "resume_at": NOW}
    lead_id, waiting = add(workspaces, **paused)
    add(workspaces, **paused)  # of another lead
    differing: list[dict[str, Any]] = [{"status": "replied"}, {"pause_reason": "manual"}, {"pause_reason": None}]
    leads = [lead_id, *(add(workspaces, **paused | values)[0] for values in differing)]
    done = await compared(
        workspaces,
        lambda session: status_repository.defer_resume(session, workspaces.id, leads, "out_of_office", later),
    )
    assert done.result == [waiting]
    assert done.rows == {ENROLLMENTS: {waiting}}
    assert datetime.fromisoformat(done.changes[ENROLLMENTS][str(waiting)]["resume_at"][1]) == later


async def test_only_unsent_drafts_of_the_enrollments_are_called_off(two_workspaces: TwoWorkspaces) -> None:
    """A draft of another enrollment, one that was sent or failed, and one whose sending was tried stay."""
    workspaces = two_workspaces
    drafts = {status: workspaces.add_draft(status=status) for status in ("pending", "drafted", "reviewed")}
    others = [workspaces.add_draft(status=status) for status in ("sent", "failed", "reviewed")]
    workspaces.add("app.send_attempts", draft_id=others[-1])
    query = "SELECT enrollment_id FROM app.email_drafts WHERE id = ANY(%s)"
    ids = [row[0] for row in workspaces.owner.execute(query, [[*drafts.values(), *others]])]
    workspaces.add_draft()  # of an enrollment that goes on
    done = await compared(
        workspaces, lambda session: status_repository.cancel_unsent_drafts(session, workspaces.id, ids, "over")
    )
    assert done.rows == {DRAFTS: set(drafts.values())}
    assert {row["error_reason"] for row in done.changes[DRAFTS].values()} == {(None, "over")}


@pytest.mark.parametrize(("number", "jobs"), [(999, [999]), (1000, [1000]), (1001, [1000, 1])])
async def test_a_thousand_are_taken_up_by_a_job(two_workspaces: TwoWorkspaces, number: int, jobs: list[int]) -> None:
    """Resumed enrollments are taken up by a thousand, and what is left over by a job of its own."""
    workspaces = two_workspaces
    sequence_id = workspaces.add(SEQUENCES)
    workspaces.owner.execute(
        "WITH leads AS (INSERT INTO app.leads (workspace_id, email, status)"
        " SELECT %s, 'lead' || number || '@many.example', 'Contacted' FROM generate_series(1, %s) AS number"
        " RETURNING id)"
        " INSERT INTO app.lead_enrollments"
        " (workspace_id, lead_id, sequence_id, current_step_order, status, enrolled_at)"
        " SELECT %s, id, %s, 1, 'paused', now() FROM leads",
        [workspaces.id, number, workspaces.id, sequence_id],
    )
    event = EnrollmentEvent.RESUMED
    done = await compared(
        workspaces,
        lambda session: enrollment_status.change_enrollments(
            session, workspaces.id, event, sequence_id=sequence_id, cause="test", now=NOW
        ),
    )
    payloads = [row["payload"][1] for row in done.changes["app.scheduled_jobs"].values()]
    ids = [payload.get("enrollmentIds") or [payload["enrollmentId"]] for payload in payloads]
    assert sorted(map(len, ids), reverse=True) == jobs
    assert {UUID(one) for some in ids for one in some} == done.result.ids
    assert (len(done.result.ids), done.result.unchanged) == (number, 0)


async def test_what_does_not_exist_is_not_counted(two_workspaces: TwoWorkspaces) -> None:
    """A move of an unknown enrollment moves none and counts none as unchanged; the one beside it is counted."""
    event, ended = EnrollmentEvent.PAUSED, two_workspaces.add_enrollment(status="completed")

    async def move(session: AsyncSession) -> list[int]:
        return [
            (
                await enrollment_status.change_enrollments(
                    session, two_workspaces.id, event, ids=ids, cause="test", now=NOW
                )
            ).unchanged
            for ids in ([UNKNOWN], [UNKNOWN, ended], [ended, two_workspaces.ids[ENROLLMENTS]])
        ]

    assert (await compared(two_workspaces, move)).result == [0, 1, 1]
