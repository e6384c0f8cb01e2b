from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.people.suppressions import repository
from domain.suppression import RECIPIENT_REASONS, SuppressionReason, SuppressionScope
from tests.overtaking import overtaken, setting
from tests.suppression_hash import suppression_hash
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

SUPPRESSIONS, REMOVALS = "app.suppressions", "app.suppression_removals"
CONCLUDED = [SuppressionReason.HARD_BOUNCE, SuppressionReason.MANUAL]
"""Reasons that what a person says outranks."""


def kind_of(reason: SuppressionReason) -> dict[str, Any]:
    """Return the columns that say a reason."""
    return {"reason": reason, "kind": "domain" if reason is SuppressionReason.DOMAIN else "email"}


def add_suppressions(workspaces: TwoWorkspaces) -> dict[SuppressionReason, tuple[UUID, str]]:
    """Insert a manual suppression for each reason that it is to be moved to; returns their ids and addresses."""
    added = {}
    for reason in SuppressionReason:
        value = f"{uuid4().hex}@lead.example"
        value_hash = suppression_hash(workspaces.account_id, value)
        manual = {"value": value, "value_hash": value_hash, **kind_of(SuppressionReason.MANUAL)}
        added[reason] = (workspaces.add(SUPPRESSIONS, **manual), value)
    return added


def moving(added: dict[SuppressionReason, tuple[UUID, str]]) -> dict[UUID, dict[str, Any]]:
    """Return the change that gives each suppression its reason."""
    return {suppression_id: kind_of(reason) | {"source": "moved"} for reason, (suppression_id, _) in added.items()}


@pytest.mark.fences("api.people.suppressions.repository:_REMOVE")
@pytest.mark.parametrize("is_admin", [False, True])
async def test_a_member_removes_only_what_was_concluded(two_workspaces: TwoWorkspaces, *, is_admin: bool) -> None:
    """A member removes nothing that became a person's own word, or lost its address, meanwhile; an admin does."""
    workspaces = two_workspaces
    added = add_suppressions(workspaces)
    erased = workspaces.add(SUPPRESSIONS, value="erased@lead.example", **kind_of(SuppressionReason.MANUAL))
    foreign = workspaces.neighbour[SUPPRESSIONS]
    ids = {reason: suppression_id for reason, (suppression_id, _) in added.items()}
    removable = {
        suppression_id for reason, suppression_id in ids.items() if is_admin or reason not in RECIPIENT_REASONS
    }

    async def remove_each(session: AsyncSession) -> set[UUID]:
        options: dict[str, Any] = {"is_admin": is_admin, "because": "test", "actor": UUID(int=1), "now": NOW}
        return {
            suppression_id
            for suppression_id in (*ids.values(), erased, foreign)
            if await repository.delete_suppression(session, workspaces.id, suppression_id, **options)
        }

    overtaking = await overtaken(
        workspaces, setting(SUPPRESSIONS, {**moving(added), erased: {"value": None}}), remove_each
    )
    expected = removable | ({erased} if is_admin else set())
    assert overtaking.result == expected
    assert overtaking.rows[SUPPRESSIONS] == expected
    assert overtaking.rows.keys() == {SUPPRESSIONS, REMOVALS}
    assert len(overtaking.rows[REMOVALS]) == len(expected)


async def add_values(
    session: AsyncSession, workspaces: TwoWorkspaces, values: list[str], reason: SuppressionReason
) -> int:
    """Suppress addresses one by one."""
    return await repository.add_values(
        session,
        workspaces.id,
        values,
        kind="email",
        reason=reason,
        source="test",
        at=NOW,
        scope=SuppressionScope.WORKSPACE,
    )


async def add_from_file(
    session: AsyncSession, workspaces: TwoWorkspaces, values: list[str], reason: SuppressionReason
) -> int:
    """Suppress addresses from a file."""

    async def blocks() -> AsyncIterator[bytes]:
        for number, value in enumerate(values, start=1):
            yield f"{number},email,{value},,{reason},test,{NOW.isoformat()},workspace,false,,\n".encode()

    counts, _ = await repository.import_rows(session, workspaces.id, blocks(), now=NOW, shown=10)
    return int(counts.added)


@pytest.mark.fences("api.people.suppressions.repository:_add", "api.people.suppressions.repository:_IMPORT")
@pytest.mark.parametrize("suppress", [add_values, add_from_file])
@pytest.mark.parametrize("reason", [one for one in SuppressionReason if one is not SuppressionReason.DOMAIN])
async def test_own_word_outranks_what_was_concluded(
    two_workspaces: TwoWorkspaces, suppress: Any, reason: SuppressionReason
) -> None:
    """A person's own word replaces a reason that was concluded, no other; what is concluded replaces nothing."""
    workspaces = two_workspaces
    added = add_suppressions(workspaces)
    values = [value for _, value in added.values()]
    overtaking = await overtaken(
        workspaces,
        setting(SUPPRESSIONS, moving(added)),
        lambda session: suppress(session, workspaces, [*values, "new@lead.example"], reason),
    )
    replaced = {added[one][0] for one in CONCLUDED if reason in RECIPIENT_REASONS}
    assert overtaking.result == 1
    changed = overtaking.changes.pop(SUPPRESSIONS)
    (new,) = (key for key, row in changed.items() if "value" in row)
    assert changed.pop(new)["value"][1] == "new@lead.example"
    assert {UUID(key) for key in changed} == replaced
    assert overtaking.changes == {}
