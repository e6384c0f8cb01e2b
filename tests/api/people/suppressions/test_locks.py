from functools import partial
from io import BytesIO
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.people.suppressions import repository, service
from domain.suppression import SuppressionReason
from tests.blocking import Blocking
from tests.database.rows import NOW

pytestmark = pytest.mark.anyio

OTHER = UUID(int=1)


@pytest.mark.locks(
    "api.people.suppressions.repository:_LOCK_SHARED", "api.people.suppressions.repository:_LOCK_EXCLUSIVE"
)
async def test_suppressions_and_claims_wait_for_each_other(blocking: Blocking) -> None:
    """Suppressions and claims exclude each other; two claims, and other workspaces, do not wait."""
    claim, claim_other = (
        partial(repository.lock_shared, workspace_id=workspace_id) for workspace_id in (blocking.workspace_id, OTHER)
    )
    suppress, suppress_other = (
        partial(repository.lock_exclusive, workspace_id=workspace_id) for workspace_id in (blocking.workspace_id, OTHER)
    )
    await blocking.prove_exclusive(claim, others=[suppress], free=[claim, suppress_other])
    await blocking.prove_exclusive(suppress, others=[claim, suppress], free=[claim_other, suppress_other])


@pytest.mark.parametrize("way", ["one", "file"])
async def test_a_new_suppression_waits_for_claims(blocking: Blocking, way: str) -> None:
    """A suppression, one by hand or many from a file, is committed only after the claims that have not seen it."""

    async def suppress(session: AsyncSession) -> None:
        if way == "one":
            await service.add_suppression(
                session,
                blocking.workspace_id,
                email=None,
                domain="lead.example",
                reason=SuppressionReason.DOMAIN,
                source="a person",
                at=NOW,
            )
            return
        async with service.read_upload(BytesIO(b"Domain\nlead.example\n")) as file:
            await service.import_rows(
                session, blocking.workspace_id, file, reason=SuppressionReason.MANUAL, source="a file", now=NOW
            )

    async with blocking.kept_open(
        lambda session: service.lock_suppressions_shared(session, blocking.workspace_id)
    ) as claiming:
        suppressing = await blocking.start_waiting(suppress, claiming.pid)
    await suppressing
    assert blocking.run("SELECT kind FROM app.suppressions WHERE value = '@lead.example'") == [("domain",)]
