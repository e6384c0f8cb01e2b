"""One claim for each draft, ever; and nothing that waits is forgotten."""

from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text

from api.delivery.sending import service
from api.delivery.sending.eligibility import ClaimLost, Deferred, Denied
from api.delivery.sending.service import Acceptance, Claim, SendRequest
from api.http.errors import WorkspaceGone
from api.http.resources import Services
from database import jobs
from database.tenancy import Scope, transaction
from tests.api.sending_workspace import Outreach
from tests.api.waiting import until_waiting

pytestmark = pytest.mark.anyio


async def reviewed(outreach: Outreach, *subjects: str) -> UUID:
    """Have one draft approved whose job has not run; returns it."""
    sequence_id = await outreach.add_sequence(*subjects or ("One",), auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    (draft,) = (await outreach.get("/drafts"))["items"]
    return UUID(draft["id"])


async def test_two_jobs_for_one_draft_send_it_once(outreach: Outreach, services: Services) -> None:
    """Jobs of one draft that come together, in one batch or one after the other, make one call between them."""
    draft_id = await reviewed(outreach)
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        twice = [jobs.Job(services.clock.now(), {"draftId": str(draft_id)})] * 2
        await jobs.enqueue(session, "send_email", outreach.workspace_id, twice)

    await outreach.run_jobs()

    assert len(outreach.mails()) == 1
    draft = await outreach.get(f"/drafts/{draft_id}")
    assert (draft["status"], draft["errorReason"]) == ("sent", None)


async def test_one_batch_gives_one_permission(outreach: Outreach, services: Services) -> None:
    """Of three requests for one draft in a batch a single one is given the claim."""
    request = SendRequest(await reviewed(outreach), services.clock.now(), uuid4())

    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        answers = await service.claim_drafts(session, outreach.workspace_id, [request] * 3)

    assert sorted(type(answer).__name__ for answer in answers) == ["Claim", "Denied", "Denied"]


async def test_a_claim_that_is_held_is_lost_only_to_its_own_job(outreach: Outreach, services: Services) -> None:
    """Another job leaves an open claim alone; the job that runs again after its worker died finds it lost."""
    draft_id, scope = await reviewed(outreach), Scope(workspace_id=outreach.workspace_id)
    answers = []
    other, own = uuid4(), uuid4()
    for job_id in (own, other, own):
        async with transaction(services.pool, scope) as session:
            request = SendRequest(draft_id, services.clock.now(), job_id)
            answers += await service.claim_drafts(session, outreach.workspace_id, [request])

    assert [type(answer) for answer in answers] == [Claim, Denied, ClaimLost]


async def test_the_word_of_the_caller_outranks_that_it_was_taken_for_lost(
    outreach: Outreach, services: Services
) -> None:
    """A call proved to have had no effect is taken back even then, and the mail goes out after all, once."""
    draft_id, scope, now = await reviewed(outreach), Scope(workspace_id=outreach.workspace_id), services.clock.now()
    async with transaction(services.pool, scope) as session:
        await service.claim_drafts(session, outreach.workspace_id, [SendRequest(draft_id, now, uuid4())])
    async with transaction(services.pool, scope) as session:
        await service.record_unknown_outcome(
            session, outreach.workspace_id, draft_id, "lost", services.clock.after(3600)
        )
    await outreach.run_jobs()
    assert outreach.mails() == []

    async with transaction(services.pool, scope) as session:
        await service.release_claim(session, outreach.workspace_id, draft_id, now)
    await outreach.run_jobs()

    assert len(outreach.mails()) == 1
    assert (await outreach.get(f"/drafts/{draft_id}"))["errorReason"] is None


async def test_an_open_claim_is_no_failure_when_the_lead_says_no(outreach: Outreach, services: Services) -> None:
    """A draft that may be on its way keeps its status when its lead unsubscribes, and is sent when that is proved."""
    draft_id, scope, now = await reviewed(outreach), Scope(workspace_id=outreach.workspace_id), services.clock.now()
    async with transaction(services.pool, scope) as session:
        await service.claim_drafts(session, outreach.workspace_id, [SendRequest(draft_id, now, uuid4())])
    draft = await outreach.get(f"/drafts/{draft_id}")
    await outreach.post(f"/leads/{draft['leadId']}/unsubscribe")

    await outreach.run_jobs()
    between = (await outreach.get(f"/drafts/{draft_id}"))["status"]
    async with transaction(services.pool, scope) as session:
        await service.record_acceptances(session, outreach.workspace_id, [Acceptance(draft_id, "t1", now)])

    assert (between, (await outreach.get(f"/drafts/{draft_id}"))["status"]) == ("reviewed", "sent")
    assert outreach.mails() == []


async def test_what_was_sent_during_a_pause_is_gone_on_from(outreach: Outreach, services: Services) -> None:
    """The last step is accepted while the enrollment is paused: resumed, it completes and does not hang."""
    draft_id, scope, now = await reviewed(outreach), Scope(workspace_id=outreach.workspace_id), services.clock.now()
    async with transaction(services.pool, scope) as session:
        await service.claim_drafts(session, outreach.workspace_id, [SendRequest(draft_id, now, uuid4())])
    enrollment = f"/enrollments/{(await outreach.get(f'/drafts/{draft_id}'))['enrollmentId']}"
    await outreach.post(f"{enrollment}/pause")
    async with transaction(services.pool, scope) as session:
        await service.record_acceptances(session, outreach.workspace_id, [Acceptance(draft_id, "t1", now)])
    assert (await outreach.get(enrollment))["status"] == "paused"

    await outreach.post(f"{enrollment}/resume")
    await outreach.run_jobs()

    assert (await outreach.get(enrollment))["status"] == "completed"


async def test_pauses_and_resumes_leave_one_job(outreach: Outreach, services: Services) -> None:
    """However often an enrollment is resumed before its time, one job waits to send its draft."""
    sequence_id: str = (await outreach.post("/sequences", {"name": "Later", "autoApprove": True})).json()["id"]
    step = {"subject": "One", "bodyTemplate": "Hello", "delayDays": 3}
    await outreach.post(f"/sequences/{sequence_id}/steps", step)
    await outreach.post(f"/sequences/{sequence_id}/activate")
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    (enrollment,) = (await outreach.get("/enrollments"))["items"]

    for _ in range(3):
        await outreach.post(f"/enrollments/{enrollment['id']}/pause")
        await outreach.post(f"/enrollments/{enrollment['id']}/resume")
        await outreach.run_jobs()

    waiting = text("SELECT count(*) FROM app.scheduled_jobs WHERE job_type = 'send_email' AND status = 'pending'")
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        assert await session.scalar(waiting) == 1


async def test_a_claim_holds_its_workspace(outreach: Outreach, services: Services, database_url: str) -> None:
    """A deletion waits for the claim under way; a claim that waited for a deletion finds nothing to send for."""
    request = SendRequest(await reviewed(outreach), services.clock.now(), uuid4())
    scope = Scope(workspace_id=outreach.workspace_id)

    async def claim() -> list[Claim | Deferred | Denied]:
        async with transaction(services.pool, scope) as session:
            return await service.claim_drafts(session, outreach.workspace_id, [request])

    with psycopg.connect(database_url, autocommit=True) as watcher:
        async with transaction(services.pool, scope) as session:
            await service.claim_drafts(session, outreach.workspace_id, [request])
            deletion = await until_waiting(watcher, outreach.client.delete(outreach.path))
            await session.rollback()
        assert (await deletion).status_code == 204
        with pytest.raises(WorkspaceGone):
            await claim()
