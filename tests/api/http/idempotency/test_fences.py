from uuid import UUID

import psycopg
import pytest

from api.http.idempotency import repository
from tests.overtaking import Overtake, overtaken
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

KEYS = "app.idempotency_keys"
DAY, MINUTE = 24 * 60 * 60, 60


def add_key(workspaces: TwoWorkspaces, key: str, seconds_ago: float) -> UUID:
    """Insert a key that was taken so many seconds ago."""
    key_id = workspaces.add(KEYS, key=key)
    take_at(key_id, seconds_ago)(workspaces.owner)
    return key_id


def take_at(key_id: UUID, seconds_ago: float) -> Overtake:
    """Return the change by which a key was taken so many seconds ago."""
    return lambda connection: connection.execute(
        "UPDATE app.idempotency_keys SET created_at = now() - make_interval(secs => %s) WHERE id = %s",
        [seconds_ago, key_id],
    )


@pytest.mark.fences("api.http.idempotency.repository:insert_key")
@pytest.mark.parametrize(
    ("before", "after", "is_taken"),
    [
        (DAY + MINUTE, 0, False),
        (DAY + MINUTE, DAY - MINUTE, False),
        (DAY + MINUTE, DAY + MINUTE, True),
        (DAY - MINUTE, DAY - MINUTE, False),
    ],
)
async def test_one_request_takes_an_old_key(
    two_workspaces: TwoWorkspaces, before: int, after: int, *, is_taken: bool
) -> None:
    """A key that is a day old is taken anew, unless another request has taken it meanwhile."""
    workspaces = two_workspaces
    key_id = add_key(workspaces, "a", before)
    for other_key in ("b", "c"):
        add_key(workspaces, other_key, 2 * DAY)
    account_id, user_id = workspaces.ids["app.accounts"], workspaces.ids["app.users"]
    overtaking = await overtaken(
        workspaces,
        take_at(key_id, after),
        lambda session: repository.insert_key(session, account_id, user_id, "a", "fingerprint"),
    )
    assert overtaking.result == (key_id if is_taken else None)
    assert overtaking.rows == ({KEYS: {key_id}} if is_taken else {})


@pytest.mark.fences("api.http.idempotency.repository:insert_key")
async def test_one_request_takes_a_new_key(two_workspaces: TwoWorkspaces) -> None:
    """Of two requests under one new key the second waits for the first, and does not take it."""
    workspaces = two_workspaces
    account_id, user_id = workspaces.ids["app.accounts"], workspaces.ids["app.users"]

    def take(other: psycopg.Connection) -> None:
        other.execute(
            "INSERT INTO app.idempotency_keys (account_id, user_id, key, fingerprint) VALUES (%s, %s, 'a', 'first')",
            [account_id, user_id],
        )

    overtaking = await overtaken(
        workspaces, take, lambda session: repository.insert_key(session, account_id, user_id, "a", "second")
    )
    assert overtaking.result is None
    assert overtaking.rows == {}


@pytest.mark.fences("api.http.idempotency.repository:delete_expired")
async def test_only_old_keys_are_forgotten(two_workspaces: TwoWorkspaces) -> None:
    """The account's keys that are older than a day are deleted, and none that was taken anew meanwhile."""
    workspaces = two_workspaces
    renewed, old = (add_key(workspaces, key, DAY + MINUTE) for key in ("renewed", "old"))
    add_key(workspaces, "young", DAY - MINUTE)
    take_at(workspaces.neighbour[KEYS], 2 * DAY)(workspaces.owner)
    overtaking = await overtaken(
        workspaces,
        take_at(renewed, 0),
        lambda session: repository.delete_expired(session, workspaces.ids["app.accounts"]),
        commits_first=True,
    )
    assert overtaking.rows == {KEYS: {old}}
