from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts import repository
from api.http.authentication import repository as authentication
from database.tenancy import Scope, enter_scope
from tests.acting import FIRST_PAGE, run_act
from tests.tables import ABSENT
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

USERS, KEYS = "app.users", "app.api_keys"


def add_user(workspaces: TwoWorkspaces, name: str, role: str = "member", **values: Any) -> UUID:
    """Insert a user of the account."""
    return workspaces.add(USERS, email=f"{name}@acme.example", name=name, role=role, **values)


def add_key(workspaces: TwoWorkspaces, user_id: UUID, name: str, **values: Any) -> UUID:
    """Insert a key of a user whose hash is its name."""
    return workspaces.add(KEYS, user_id=user_id, secret_hash=name, **values)


async def test_each_reading_is_of_one_user_or_key(two_workspaces: TwoWorkspaces) -> None:
    """Of several users and keys of an account that one is found which is named, by its id, its hash or its owner."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM app.api_keys")
    ann, bob = add_user(workspaces, "ann"), add_user(workspaces, "bob")
    keys = {name: add_key(workspaces, user, name) for name, user in (("a", ann), ("b", bob), ("c", bob))}

    async def read(session: AsyncSession) -> dict[str, Any]:
        def only_id(row: Any) -> UUID | None:
            return None if row is None else UUID(str(row.id))

        lists = {
            (user_id, owner_id): [
                only_id(key)
                for key in await repository.list_keys(session, FIRST_PAGE, user_id=user_id, owner_id=owner_id)
            ]
            for user_id, owner_id in ((None, None), (bob, None), (None, bob), (bob, bob), (ann, bob))
        }
        return {
            "users": [only_id(await repository.find_user(session, id_)) for id_ in (ann, bob, keys["a"])],
            "account": only_id(await repository.find_account(session, workspaces.ids["app.accounts"])),
            "keys": [only_id(await repository.find_key(session, keys[name], None)) for name in "abc"],
            "keys of bob": [only_id(await repository.find_key(session, keys[name], bob)) for name in "abc"],
            "hashes": [only_id(await repository.find_key_by_hash(session, name)) for name in "abcd"],
            "lists": lists,
        }

    acted = await run_act(workspaces, read, locks_in=USERS)
    a, b, c = keys.values()
    assert acted.result == {
        "users": [ann, bob, None],
        "account": workspaces.ids["app.accounts"],
        "keys": [a, b, c],
        "keys of bob": [None, b, c],
        "hashes": [a, b, c, None],
        "lists": {
            (None, None): [c, b, a],
            (bob, None): [c, b],
            (None, bob): [c, b],
            (bob, bob): [c, b],
            (ann, bob): [],
        },
    }
    assert (acted.changes, acted.locked) == ({}, set())


async def test_each_change_is_of_one_user_or_key(two_workspaces: TwoWorkspaces) -> None:
    """A user is changed, linked or deleted and a key is made or revoked; another user of the account never is."""
    workspaces = two_workspaces
    changed, linked, other = (add_user(workspaces, name) for name in ("changed", "linked", "other"))
    known = add_user(workspaces, "known", subject_hash="first")
    deleted = add_user(workspaces, "deleted")
    revoked = add_key(workspaces, other, "revoked")
    kept, before = add_key(workspaces, other, "kept"), add_key(workspaces, other, "before", revoked_at="2026-01-01")

    async def change(session: AsyncSession) -> list[Any]:
        await repository.change_user(session, changed, {"name": "New"})
        await authentication.link_subject(session, linked, "subject")
        await authentication.link_subject(session, known, "second")
        await repository.delete_user(session, deleted)
        made = await repository.add_key(session, linked, name="Key", prefix="sm_", secret_hash="made")
        assert made is not None
        assert made.user_id == linked
        without_user = await repository.add_key(session, revoked, name="Key", prefix="sm_", secret_hash="orphan")
        revocations = [
            await repository.revoke_key(session, key_id, owner_id)
            for key_id, owner_id in ((kept, changed), (other, None), (revoked, other), (before, None))
        ]
        await repository.rename_account(session, workspaces.ids["app.accounts"], "Renamed")
        return [UUID(str(made.id)), without_user, *revocations]

    acted = await run_act(workspaces, change)
    made, *answers = acted.result
    assert answers == [None, False, False, True, True]
    assert acted.rows == {
        "app.accounts": {str(workspaces.ids["app.accounts"])},
        USERS: {str(changed), str(linked), str(deleted)},
        KEYS: {str(made), str(revoked)},
    }
    assert acted.columns(USERS, changed) == {"name": ("changed", "New")}
    assert acted.columns(USERS, linked) == {"subject_hash": (None, "subject")}
    assert acted.changes[USERS][str(deleted)]["id"] == (str(deleted), ABSENT)


async def test_a_user_and_all_admins_are_locked(two_workspaces: TwoWorkspaces) -> None:
    """To change a user, that user and the admins of the account are locked, and no other member."""
    workspaces = two_workspaces
    workspaces.set(USERS, workspaces.ids[USERS], role="member")
    member, admin = add_user(workspaces, "member"), add_user(workspaces, "admin", "admin")
    add_user(workspaces, "other")
    acted = await run_act(workspaces, lambda session: repository.lock_user_and_admins(session, member), locks_in=USERS)
    assert [user.id for user in acted.result] == sorted([member, admin])
    assert acted.locked == {member, admin}


async def test_users_of_any_account_are_found_by_a_verified_address(two_workspaces: TwoWorkspaces) -> None:
    """A verified address finds who has it in any account and in any case, beside others of the scope's account."""
    workspaces = two_workspaces
    address = "ann@acme.example"
    ann = workspaces.add(USERS, email="Ann@Acme.example")
    theirs = workspaces.add(USERS, workspaces.neighbour, email=address)
    add_user(workspaces, "bob")

    async def find(session: AsyncSession) -> set[UUID]:
        await enter_scope(session, Scope(account_id=workspaces.ids["app.accounts"], verified_email=address))
        return {user.id for user in await authentication.list_users_with_email(session, address)}

    assert (await run_act(workspaces, find)).result == {ann, theirs}
