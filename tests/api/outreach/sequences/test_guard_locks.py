import pytest

from api.outreach.sequences import repository
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio


@pytest.mark.locks("api.outreach.sequences.repository:_LOCK_SEQUENCES")
async def test_sequences_are_locked_by_id(blocking: Blocking) -> None:
    """Pausing sequences that bounce locks them against changes, the lower id first."""
    ids = blocking.add_lower("app.sequences")
    await blocking.prove_row_lock(
        "NO KEY UPDATE",
        "app.sequences",
        ids,
        lambda session: repository.lock_sequences(session, blocking.workspace_id, ids),
    )
