from functools import partial
from uuid import UUID

import pytest

from api.delivery.events import repository, service
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio

OTHER = UUID(int=1)


@pytest.mark.locks("api.delivery.events.repository:_LOCK_EVENTS")
async def test_events_of_a_workspace_are_applied_one_after_the_other(blocking: Blocking) -> None:
    """Applying events waits for others of the same workspace, and not for another workspace."""
    apply, apply_other = (
        partial(service.lock_provider_rows, workspace_id=workspace_id)
        for workspace_id in (blocking.workspace_id, OTHER)
    )
    await blocking.prove_exclusive(apply, others=[apply], free=[apply_other])


@pytest.mark.locks(
    "api.delivery.events.repository:_LOCK_INTAKE_SHARED", "api.delivery.events.repository:_LOCK_INTAKE_EXCLUSIVE"
)
async def test_what_is_stored_is_awaited(blocking: Blocking) -> None:
    """Waiting for the intake and storing exclude each other; two that store, and other workspaces, run at once."""
    store, store_other = (
        partial(repository.lock_intake_shared, workspace_id=workspace_id)
        for workspace_id in (blocking.workspace_id, OTHER)
    )
    await_stored, await_other = (
        partial(repository.lock_intake_exclusive, workspace_id=workspace_id)
        for workspace_id in (blocking.workspace_id, OTHER)
    )
    await blocking.prove_exclusive(store, others=[await_stored], free=[store, await_other])
    await blocking.prove_exclusive(await_stored, others=[store], free=[store_other, await_other])
