import pytest

from api.http.idempotency import repository
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio

KEYS = "app.idempotency_keys"


@pytest.mark.locks("api.http.idempotency.repository:delete_expired")
async def test_old_answers_are_forgotten_by_one_request(blocking: Blocking) -> None:
    """A request deletes old answers, and leaves those that another has locked instead of waiting for them."""
    locked, free = blocking.ids[KEYS], blocking.add(KEYS, key="another")
    blocking.run("UPDATE app.idempotency_keys SET created_at = now() - interval '25 hours'")
    await blocking.prove_skipped(
        KEYS, locked, lambda session: repository.delete_expired(session, blocking.ids["app.accounts"])
    )
    assert blocking.run("SELECT id FROM app.idempotency_keys") == [(locked,)]
    assert locked != free
