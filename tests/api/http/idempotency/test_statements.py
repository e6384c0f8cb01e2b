"""Each statement of kept answers beside rows that differ from its own in one condition."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.idempotency import repository, service
from api.http.idempotency.service import Answer, compute_fingerprint
from database.secrets import SecretBox
from tests.comparing import compared
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

KEYS, USERS = "app.idempotency_keys", "app.users"
TICK = timedelta(microseconds=1)


@pytest.fixture
def workspaces(two_workspaces: TwoWorkspaces) -> TwoWorkspaces:
    """Two accounts of which the first has no key."""
    two_workspaces.owner.execute("DELETE FROM app.idempotency_keys WHERE id = %s", [two_workspaces.ids[KEYS]])
    return two_workspaces


async def test_an_answer_is_kept_and_found_under_its_own_key(workspaces: TwoWorkspaces) -> None:
    """The answer of one key of one user is stored and found: not that of another key, nor of another user's."""
    user_id, other = workspaces.ids[USERS], workspaces.add(USERS, email="ben@acme.example")
    key_id = workspaces.add(KEYS, user_id=user_id, key="first")
    workspaces.add(KEYS, user_id=user_id, key="second")
    workspaces.add(KEYS, user_id=other, key="first")

    async def keep(session: AsyncSession) -> list[UUID | None]:
        await repository.store_answer(session, key_id, status=201, headers={}, encrypted_body="x")
        found = [await repository.find(session, user_id, key) for key in ("first", "third")]
        return [row.id if row else None for row in found]

    acted = await compared(workspaces, keep)
    assert acted.result == [key_id, None]
    assert acted.rows == {KEYS: {key_id}}


async def test_old_answers_are_forgotten_a_hundred_at_once(workspaces: TwoWorkspaces) -> None:
    """After a day and a microsecond an answer is forgotten, a hundred at a time; one of a day is kept."""

    async def forget(session: AsyncSession) -> list[Any]:
        await session.execute(
            text(
                "INSERT INTO app.idempotency_keys (account_id, user_id, key, fingerprint, created_at)"
                " SELECT :account, :user, i, '', now() - interval '24 hours'"
                "        - CASE WHEN i = 0 THEN interval '0' ELSE interval '1 microsecond' END"
                "   FROM generate_series(0, 101) AS i"
            ),
            {"account": workspaces.ids["app.accounts"], "user": workspaces.ids[USERS]},
        )
        left: list[Any] = []
        for _ in range(2):
            await repository.delete_expired(session, workspaces.ids["app.accounts"])
            count = text("SELECT count(*), count(*) FILTER (WHERE key = '0') FROM app.idempotency_keys")
            left.append(tuple((await session.execute(count)).one()))
        return left

    assert (await compared(workspaces, forget)).result == [(2, 1), (1, 1)]


async def test_a_key_answers_only_the_request_that_it_was_taken_for(workspaces: TwoWorkspaces) -> None:
    """What is answered again is a whole answer to the same request; a key without one is refused."""
    secrets = SecretBox("a key of the tests")
    kept = {"fingerprint": "same", "status": 201, "encrypted_body": secrets.encrypt("body")}
    rows: dict[str, dict[str, Any]] = {
        "whole": kept,
        "other request": kept | {"fingerprint": "another"},
        "without status": kept | {"status": None},
        "without body": kept | {"encrypted_body": None},
    }
    for key, values in rows.items():
        workspaces.add(KEYS, user_id=workspaces.ids[USERS], key=key, **values)

    async def take(session: AsyncSession) -> dict[str, object]:
        answers: dict[str, object] = {}
        for key in rows:
            answers[key] = await service.claim_key(
                session,
                secrets,
                account_id=workspaces.ids["app.accounts"],
                user_id=workspaces.ids[USERS],
                key=key,
                fingerprint="same",
            )
        return answers

    acted = await compared(workspaces, take)
    refused = dict.fromkeys(("other request", "without status", "without body"))
    assert acted.result == {"whole": Answer(201, {}, b"body"), **refused}
    assert acted.changes == {}


def test_a_fingerprint_tells_where_parts_end() -> None:
    """The same bytes cut otherwise are another request; the digest is the same in every release."""
    assert compute_fingerprint([b"ab", b"c"]) != compute_fingerprint([b"a", b"bc"])
    assert compute_fingerprint([b"POST", b""]) == "c389d784d6c787f8040dcbd01df03850cec5adf6c30ac575e2d0e94bfb99f1ca"
