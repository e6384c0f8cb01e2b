"""What each statement of suppressions takes, with rows beside those it is for that differ from them in one column."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import literal, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.people.suppressions import repository
from database.conditions import is_suppressed
from domain.suppression import SuppressionReason, SuppressionScope
from tests.acting import FIRST_PAGE, Acted, act_alone, owner_session
from tests.database.rows import Ids
from tests.suppression_hash import suppression_hash
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

SUPPRESSIONS, REMOVALS, LEADS = "app.suppressions", "app.suppression_removals", "app.leads"
WORKSPACE, ACCOUNT = SuppressionScope
STRANGE = "This row has only a hash, which is from another account."


def add_value(
    workspaces: TwoWorkspaces, value: str, of: Ids | None = None, *, table: str = SUPPRESSIONS, **values: Any
) -> UUID:
    """Insert a suppression of an address, or its removal, with the hash that it has in its account."""
    account_id = (of or workspaces.ids)["app.accounts"]
    row = {"kind": "email", "reason": "manual", "value_hash": suppression_hash(account_id, value), **values}
    return workspaces.add(table, of, **{"value": value, **row})


async def test_suppressions_are_found_by_each_filter(two_workspaces: TwoWorkspaces) -> None:
    """A suppression is found by its id, its value, its reason and its kind, in its own workspace alone."""
    workspaces = two_workspaces
    ann = add_value(workspaces, "ann@lead.example")
    bo = add_value(workspaces, "bo@lead.example", reason="complaint")
    domain = add_value(workspaces, "@lead.example", kind="domain", reason="domain")
    foreign = add_value(workspaces, "ann@lead.example", workspaces.neighbour)
    own = workspaces.ids[SUPPRESSIONS]
    workspaces.set(SUPPRESSIONS, own, kind="email", reason="unsubscribed")
    nothing: dict[str, Any] = dict.fromkeys(("reason", "kind", "scope", "value"))
    expected: list[tuple[dict[str, Any], set[UUID]]] = [
        ({}, {ann, bo, domain, own}),
        ({"reason": SuppressionReason.MANUAL}, {ann}),
        ({"kind": "domain"}, {domain}),
        ({"kind": "email"}, {ann, bo, own}),
        ({"value": "ann@lead.example"}, {ann}),
        ({"kind": "email", "reason": SuppressionReason.COMPLAINT}, {bo}),
    ]
    async with owner_session(workspaces) as session:
        for filters, ids in expected:
            rows = await repository.list_suppressions(session, workspaces.id, FIRST_PAGE, **{**nothing, **filters})
            assert {row.id for row in rows} == ids, filters
        found = [await repository.find_suppression(session, workspaces.id, one) for one in (ann, bo, foreign)]
        by_value = [
            await repository.find_by_value(session, workspaces.id, value, WORKSPACE)
            for value in ("bo@lead.example", "@lead.example", "cy@lead.example")
        ]
    assert [row and row.id for row in found] == [ann, bo, None]
    assert [row and row.id for row in by_value] == [bo, domain, None]


async def test_removals_are_found_by_their_value(two_workspaces: TwoWorkspaces) -> None:
    """What was removed is listed in its own workspace, and by a value only what had it."""
    workspaces = two_workspaces
    ann, bo = (add_value(workspaces, f"{name}@lead.example", table=REMOVALS) for name in ("ann", "bo"))
    add_value(workspaces, "ann@lead.example", workspaces.neighbour, table=REMOVALS)
    async with owner_session(workspaces) as session:
        found = [
            {row.id for row in await repository.list_removals(session, workspaces.id, FIRST_PAGE, value=value)}
            for value in (None, "ann@lead.example")
        ]
    assert found == [{ann, bo, workspaces.ids[REMOVALS]}, {ann}]


async def test_one_suppression_is_removed(two_workspaces: TwoWorkspaces) -> None:
    """An id removes its own suppression, with a record of it; one of another workspace removes nothing."""
    workspaces = two_workspaces
    ann, _ = (add_value(workspaces, f"{name}@lead.example") for name in ("ann", "bo"))
    foreign = add_value(workspaces, "ann@lead.example", workspaces.neighbour)

    async def remove_each(session: AsyncSession) -> list[bool]:
        options: dict[str, Any] = {"is_admin": True, "because": "test", "actor": UUID(int=1), "now": NOW}
        return [await repository.delete_suppression(session, workspaces.id, one, **options) for one in (ann, foreign)]

    acted = await act_alone(workspaces, remove_each)
    assert acted.result == [True, False]
    assert acted.changes[SUPPRESSIONS].keys() == {str(ann)}
    (record,) = acted.after()[REMOVALS].values()
    assert (record["value"], record["removed_because"]) == ("ann@lead.example", "test")


async def test_addresses_of_the_named_leads_are_suppressed(two_workspaces: TwoWorkspaces) -> None:
    """The addresses of these leads are suppressed, deleted ones too; erased leads have none, and others stay out."""
    workspaces = two_workspaces
    ann = workspaces.add(LEADS, email="ann@lead.example")
    deleted = workspaces.add(LEADS, email="cy@lead.example", deleted_at=NOW)
    erased = workspaces.add(LEADS, email="", deleted_at=NOW, erased_at=NOW)
    workspaces.add(LEADS, email="bo@lead.example")
    foreign = workspaces.add(LEADS, workspaces.neighbour, email="foreign@lead.example")
    acted = await act_alone(
        workspaces,
        lambda session: repository.add_leads(
            session,
            workspaces.id,
            [ann, deleted, erased, foreign],
            reason=SuppressionReason.MANUAL,
            source="test",
            at=NOW,
            scope=WORKSPACE,
        ),
    )
    assert acted.result == 2
    added = {row["value"]: row["workspace_id"] for row in acted.after()[SUPPRESSIONS].values()}
    assert added == dict.fromkeys(("ann@lead.example", "cy@lead.example"), str(workspaces.id))


async def test_an_address_is_suppressed_by_itself_or_its_domain(two_workspaces: TwoWorkspaces) -> None:
    """An address is suppressed by its own hash or that of its domain, in its own workspace, and no other address is."""
    workspaces = two_workspaces
    add_value(workspaces, "ann@lead.example")
    add_value(workspaces, "@other.example", kind="domain", reason="domain")
    add_value(workspaces, "bo@lead.example", workspaces.neighbour)
    addresses = ["ann@lead.example", "bo@lead.example", "cy@other.example", "di@example.com"]
    async with owner_session(workspaces) as session:
        answers = [
            await session.scalar(select(is_suppressed(workspaces.id, literal(address)))) for address in addresses
        ]
        assert answers == [await repository.is_suppressed(session, workspaces.id, address) for address in addresses]
    assert answers == [True, False, True, False]


async def test_an_export_is_of_one_workspace(two_workspaces: TwoWorkspaces) -> None:
    """The export holds the suppressions of its workspace, the oldest first, and those of no other."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM app.suppressions")
    high = add_value(workspaces, "bo@lead.example")
    add_value(workspaces, "ann@lead.example", id=UUID(int=high.int - 1))
    add_value(workspaces, "cy@lead.example", workspaces.neighbour)
    async with owner_session(workspaces) as session:
        pieces = [bytes(piece) async for piece in repository.export_rows(session, workspaces.id)]
    rows = b"".join(pieces).decode().splitlines()
    assert [row.split(",")[1] for row in rows] == ["ann@lead.example", "bo@lead.example"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: what it names, plainly or by a hash, and what is wrong with it."""

    value: str = ""
    value_hash: str = ""
    source: str = "file"
    problem: str = ""
    reason: str = "manual"
    scope: str = "workspace"


Answer = tuple[Row[Any], list[tuple[Any, ...]]]


async def import_lines(workspaces: TwoWorkspaces, lines: list[Line], *, shown: int = 10) -> Acted[Answer]:
    """Suppress what lines of a file say; they come last line first, so that only their numbers tell their order."""

    async def blocks() -> AsyncIterator[bytes]:
        for number, line in reversed([*enumerate(lines, start=1)]):
            cell = "cell" if line.problem else ""
            yield (
                f"{number},email,{line.value},{line.value_hash},{line.reason},{line.source},,"
                f"{line.scope},false,{cell},{line.problem}\n"
            ).encode()

    async def act(session: AsyncSession) -> Answer:
        counts, invalid = await repository.import_rows(session, workspaces.id, blocks(), now=NOW, shown=shown)
        return counts, [tuple(row) for row in invalid]

    return await act_alone(workspaces, act)


HASH = "ab" * 32


@pytest.mark.parametrize(
    ("plain", "is_ours"),
    [
        pytest.param(None, True, id="no plain value"),
        pytest.param("", True, id="a plain value without a hash"),
        pytest.param("ours", True, id="a plain value with our hash"),
        pytest.param("strange", False, id="a plain value with a strange hash"),
    ],
)
async def test_a_bare_hash_is_taken_from_a_file_of_ours(
    two_workspaces: TwoWorkspaces, plain: str | None, *, is_ours: bool
) -> None:
    """A hash without its value is refused where the file's plain values have hashes and none is of this workspace.

    Plain values of such a file are taken; a line that is invalid already keeps its own problem.
    """
    workspaces = two_workspaces
    address = "ann@lead.example"
    hashes = {"ours": suppression_hash(workspaces.account_id, address), "strange": "cd" * 32}
    lines = [Line(value_hash=HASH), Line(problem="names no address")]
    if plain is not None:
        lines += [Line(value=address, value_hash=hashes.get(plain, ""))]
    acted = await import_lines(workspaces, lines)
    counts, invalid = acted.result
    problems = [(2, "cell", "names no address")]
    assert invalid == (problems if is_ours else [(1, HASH, STRANGE), *problems])
    expected: set[tuple[str | None, str]] = {(None, HASH)} if is_ours else set()
    if plain is not None:
        expected |= {(address, suppression_hash(workspaces.account_id, address))}
    assert (counts.added, counts.sound, counts.invalid) == (len(expected), len(expected), len(invalid))
    added = acted.after().get(SUPPRESSIONS, {}).values()
    assert {(row["value"], row["value_hash"]) for row in added} == expected


async def test_one_hash_of_this_workspace_is_enough(two_workspaces: TwoWorkspaces) -> None:
    """A file of ours with one value that was changed by hand is still ours: its bare hashes are taken."""
    addresses = ["ann@lead.example", "bo@lead.example"]
    hashes = [suppression_hash(two_workspaces.account_id, addresses[0]), "cd" * 32]
    lines = [Line(value_hash=HASH), *(Line(value, hashed) for value, hashed in zip(addresses, hashes, strict=True))]
    counts, invalid = (await import_lines(two_workspaces, lines)).result
    assert (counts.added, invalid) == (3, [])


async def test_the_first_line_of_an_address_counts(two_workspaces: TwoWorkspaces) -> None:
    """Of lines with one address the first is taken, a person's own word before all; only new ones count as added."""
    workspaces = two_workspaces
    known = add_value(workspaces, "known@lead.example", source="earlier")
    bounced = add_value(workspaces, "bounced@lead.example", reason="hard_bounce", source="earlier")
    word = add_value(workspaces, "word@lead.example", reason="complaint", source="earlier")
    domain = add_value(workspaces, "@lead.example", kind="domain", reason="domain", source="earlier")
    lines = [
        *(Line(f"{name}@lead.example", source=f"{name} {number}") for number in (1, 2) for name in ("ann", "bo")),
        *(Line("bo@lead.example", reason="complaint", source=f"own word {number}") for number in (1, 2)),
        *(Line(value, source="again") for value in ("known@lead.example", "word@lead.example", "bounced@lead.example")),
        Line("known@lead.example", reason="unsubscribed", source="own word"),
        Line("word@lead.example", reason="unsubscribed", source="own word"),
        Line("@lead.example", reason="unsubscribed", source="own word"),
        *(Line(problem=problem) for problem in ("first", "second", "third")),
    ]
    acted = await import_lines(workspaces, lines, shown=2)
    counts, invalid = acted.result
    assert (counts.added, counts.sound, counts.invalid) == (2, 12, 3)
    assert [problem for _, _, problem in invalid] == ["first", "second"]
    changed = acted.after()[SUPPRESSIONS]
    assert changed.pop(str(known)) == {"reason": "unsubscribed", "source": "own word"}
    assert not {str(word), str(domain), str(bounced)} & changed.keys()
    assert {row["value"]: (row["reason"], row["source"]) for row in changed.values()} == {
        "ann@lead.example": ("manual", "ann 1"),
        "bo@lead.example": ("complaint", "own word 1"),
    }


async def test_erased_addresses_are_suppressed_by_hash(two_workspaces: TwoWorkspaces) -> None:
    """A hash is suppressed without a value, once; another hash and the same hash of a neighbour stay as they are."""
    workspaces = two_workspaces
    for of in (None, workspaces.neighbour):
        add_value(workspaces, "old@lead.example", of, value_hash="ab" if of else "cd")

    async def add(session: AsyncSession) -> list[int]:
        return [
            await repository.add_hashes(
                session,
                workspaces.id,
                hashes,
                reason=SuppressionReason.UNSUBSCRIBED,
                source="link",
                at=NOW,
                scope=ACCOUNT,
            )
            for hashes in (["ab", "ab"], ["ab"], [])
        ]

    acted = await act_alone(workspaces, add)
    assert acted.result == [1, 0, 0]
    ((added,),) = (rows.values() for rows in acted.after().values())
    kept = ("account_id", "workspace_id", "kind", "value", "value_hash", "reason", "source")
    found = {name: added.get(name) for name in kept}
    assert found == dict(
        zip(kept, (str(workspaces.account_id), None, "email", None, "ab", "unsubscribed", "link"), strict=True)
    )
