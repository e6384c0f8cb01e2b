from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts import repository
from api.http.authentication import repository as authentication
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio

ACCOUNTS, USERS, KEYS = "app.accounts", "app.users", "app.api_keys"
CREDENTIAL = "a" * 64


async def lock_account(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> Any:
    """Lock the account to rename it."""
    return await repository.find_account(session, ids[0], lock=True)


async def lock_users(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> Any:
    """Lock a user and all admins, to change the user."""
    return await repository.lock_user_and_admins(session, ids[0])


async def add_key(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> Any:
    """Make a key for a user."""
    return await repository.add_key(session, ids[0], name="Key", prefix="sk_1", secret_hash="b" * 64)


@pytest.mark.locks("api.accounts.repository:find_account")
async def test_an_account_is_locked_against_changes(blocking: Blocking) -> None:
    """A change of the account waits for another one; a row that refers to the account does not wait."""
    ids = [blocking.ids[ACCOUNTS]]
    await blocking.prove_row_lock("NO KEY UPDATE", ACCOUNTS, ids, lambda session: lock_account(session, blocking, ids))


@pytest.mark.locks("api.accounts.repository:lock_user_and_admins")
async def test_users_are_locked_by_id(blocking: Blocking) -> None:
    """A change of a user locks that user and all admins, the lower id first, so that one admin always stays."""
    ids = blocking.add_lower(USERS, email="another@acme.example", role="member")
    blocking.run("UPDATE app.users SET role = 'admin' WHERE id = %s", ids[1])
    await blocking.prove_row_lock("NO KEY UPDATE", USERS, ids, lambda session: lock_users(session, blocking, ids))


@pytest.mark.locks("api.accounts.repository:add_key")
async def test_no_key_is_made_for_a_user_who_is_deleted(blocking: Blocking) -> None:
    """A new key waits for an open deletion of its user and then finds no user; it does not wait for a change."""
    ids = [blocking.ids[USERS]]
    async with blocking.row_locks("NO KEY UPDATE", USERS, ids):
        await blocking.run_and_undo(lambda session: add_key(session, blocking, ids))
    async with blocking.kept_open(lambda session: repository.delete_user(session, ids[0])) as deleting:
        adding = await blocking.start_waiting(lambda session: add_key(session, blocking, ids), deleting.pid)
    assert await adding is None


@pytest.mark.locks("database/migrations:app.authenticate_credential")
async def test_a_request_does_not_wait_to_note_its_key(blocking: Blocking) -> None:
    """A request notes when its key was last used, but does not wait where another request has locked the key."""
    key_id = blocking.ids[KEYS]
    blocking.run("UPDATE app.api_keys SET secret_hash = %s, last_used_at = NULL, revoked_at = NULL", CREDENTIAL)

    async def enter(session: AsyncSession) -> Any:
        return await authentication.authenticate_credential(session, CREDENTIAL, blocking.workspace_id)

    last_used = "SELECT last_used_at IS NOT NULL FROM app.api_keys"
    entered = await blocking.prove_skipped(KEYS, key_id, enter)
    assert entered.user_id == blocking.ids[USERS]
    assert blocking.run(last_used) == [(False,)]
    async with blocking.kept_open(enter):
        await blocking.run_alone(enter)
    assert blocking.run(last_used) == [(True,)]
