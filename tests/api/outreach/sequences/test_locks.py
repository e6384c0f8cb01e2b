import pytest

from api.outreach.sequences import repository
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio


@pytest.mark.locks("api.outreach.sequences.repository:lock_sequence")
@pytest.mark.parametrize(("exclusive", "mode"), [(True, "NO KEY UPDATE"), (False, "SHARE")])
async def test_a_sequence_is_locked(blocking: Blocking, exclusive: bool, mode: str) -> None:
    """A change of a sequence locks it against other changes; those that only need it as it is share it."""
    sequence_id = blocking.ids["app.sequences"]
    await blocking.prove_row_lock(
        mode,
        "app.sequences",
        [sequence_id],
        lambda session: repository.lock_sequence(session, blocking.workspace_id, sequence_id, exclusive=exclusive),
    )
