"""A suppression is committed after the claims that have not seen it, and before those that come later."""

from collections.abc import Coroutine
from functools import partial
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.sending import repository as sending
from api.people.leads import service as leads
from api.people.suppressions import repository, service
from api.people.suppressions.files import RowDefaults
from domain.suppression import SuppressionReason
from tests.blocking import Blocking
from tests.database.rows import NOW

pytestmark = pytest.mark.anyio


async def suppress(session: AsyncSession, blocking: Blocking, way: str) -> None:
    """Suppress one address or domain in one of the ways that there are."""
    workspace_id = blocking.workspace_id
    match way:
        case "no":
            reason = SuppressionReason.UNSUBSCRIBED
            await service.suppress_addresses(
                session, workspace_id, ["a@lead.example"], reason=reason, source="a link", at=NOW
            )
        case "hash":
            reason = SuppressionReason.UNSUBSCRIBED
            await service.suppress_hashes(session, workspace_id, ["ab" * 32], reason=reason, source="a link", at=NOW)
        case "lead":
            lead_id = blocking.ids["app.leads"]
            await leads.unsubscribe_leads(session, workspace_id, [lead_id], cause="a user", now=NOW)
        case "domain":
            await service.suppress_domains(session, workspace_id, ["lead.example"], source="a person", at=NOW)
        case _:
            defaults = RowDefaults(SuppressionReason.MANUAL, "a file")
            async with service.read_upload(BytesIO(b"Domain\nlead.example\n")) as file:
                await service.import_rows(session, workspace_id, file, defaults=defaults, now=NOW)


def claim(blocking: Blocking, account_id: UUID | None = None) -> partial[Coroutine[Any, Any, None]]:
    """Return the last lock of a claim, of any workspace of the account."""
    return partial(repository.lock_shared, account_id=account_id or blocking.ids["app.accounts"])


@pytest.mark.locks("api.people.suppressions.repository:_LOCK_SHARED", "database/migrations:app.lock_suppressions")
@pytest.mark.parametrize("way", ["no", "hash", "lead", "domain", "file"])
async def test_a_suppression_waits_for_the_claims_of_its_account(blocking: Blocking, way: str) -> None:
    """It commits after the claims that have not seen it."""
    before = blocking.run("SELECT count(*) FROM app.suppressions")
    async with blocking.kept_open(claim(blocking)) as claiming:
        suppressing = await blocking.start_waiting(partial(suppress, blocking=blocking, way=way), claiming.pid)
        assert blocking.run("SELECT count(*) FROM app.suppressions") == before
    await suppressing
    assert blocking.run("SELECT count(*) FROM app.suppressions") != before


async def test_accounts_do_not_wait_for_each_other(blocking: Blocking) -> None:
    """A suppression commits at once beside the claims of another account."""
    async with blocking.kept_open(claim(blocking, uuid4())):
        await blocking.run_alone(partial(suppress, blocking=blocking, way="domain"))


async def test_claims_wait_for_a_suppression_and_see_it(blocking: Blocking) -> None:
    """A claim that comes after a suppression began to commit waits for it, and reads what it wrote."""

    async def claim_and_read(session: AsyncSession) -> bool:
        await claim(blocking)(session)
        return await service.is_suppressed(session, blocking.workspace_id, "ann@lead.example")

    async with blocking.kept_open(claim(blocking)) as first:
        suppressing = await blocking.start_waiting(partial(suppress, blocking=blocking, way="domain"), first.pid)
        second = await blocking.start_waiting(claim_and_read, None)
    await suppressing
    assert await second is True


async def test_claims_do_not_wait_for_each_other(blocking: Blocking) -> None:
    """Any number of claims hold the lock of suppressions at once."""
    async with blocking.kept_open(claim(blocking)):
        await blocking.run_alone(claim(blocking))


async def test_a_stop_does_not_wait_for_a_claim_that_waits_for_it(blocking: Blocking) -> None:
    """A no that has changed a lead commits although a claim waits for that lead: the claim has not the lock yet."""
    draft_id = blocking.ids["app.email_drafts"]

    async def claim_draft(session: AsyncSession) -> bool:
        await sending.lock_to_claim(session, blocking.workspace_id, [draft_id])
        await claim(blocking)(session)
        (candidate,) = await sending.list_candidates(session, blocking.workspace_id, [draft_id])
        return candidate.block_reason is not None

    async with blocking.kept_open(partial(suppress, blocking=blocking, way="lead")) as stopping:
        claiming = await blocking.start_waiting(claim_draft, stopping.pid)
    assert await claiming is True
