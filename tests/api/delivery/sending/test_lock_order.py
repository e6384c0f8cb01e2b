"""Every transaction locks leads, enrollments, sequences and drafts in that order, so that no two deadlock."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from api.delivery.sending import service as sending
from api.delivery.sending.eligibility import Deferred, Denied
from api.delivery.sending.service import Claim, SendRequest
from api.http.resources import Services
from api.outreach.enrollment_status import repository as status_repository
from api.outreach.sequences import service as sequences
from database.tenancy import Scope, transaction
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio


async def until_a_transaction_waits(services: Services) -> None:
    """Return when a transaction waits for a lock of another."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while True:
        async with transaction(services.pool, Scope()) as session:
            if await session.scalar(waiting):
                return
        await asyncio.sleep(0.01)


async def test_a_claim_and_a_deletion_take_turns(outreach: Outreach, services: Services) -> None:
    """A claim that waits for an enrollment holds nothing yet that the deletion of its sequence is still to lock."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    leads = [await outreach.add_lead(f"{name}@lead.example") for name in "abc"]
    for lead_id in leads:
        await outreach.enroll(sequence_id, lead_id)
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    first, *_ = sorted(one["id"] for one in (await outreach.get("/enrollments"))["items"])
    await outreach.post(f"/enrollments/{first}/stop")
    draft_ids = [UUID(one["id"]) for one in (await outreach.get("/drafts"))["items"]]
    scope, now = Scope(workspace_id=outreach.workspace_id), services.clock.now()

    async def claim() -> list[Claim | Deferred | Denied]:
        async with transaction(services.pool, scope) as session:
            return await sending.claim_drafts(
                session, outreach.workspace_id, [SendRequest(one, now, uuid4()) for one in draft_ids]
            )

    async with transaction(services.pool, scope) as session:
        await status_repository.lock_live_enrollments(session, outreach.workspace_id, UUID(sequence_id))
        claiming = asyncio.create_task(claim())
        await until_a_transaction_waits(services)
        held = await sequences.lock_to_delete(session, outreach.workspace_id, UUID(sequence_id))
        await sequences.delete_sequence(session, held, cause="test", now=now)
    answers = await claiming

    assert {type(answer) for answer in answers} == {Denied}
    assert len((await outreach.get("/drafts", status="failed"))["items"]) == 3
