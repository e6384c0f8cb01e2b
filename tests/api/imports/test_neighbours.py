from collections.abc import Collection
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.repository import uploads as repository
from api.imports.repository.uploads import ERASED, UNKNOWN_TIMEZONE, Block, Span
from tests.acting import insert_row, run_act
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

IMPORTS, BLOCKS, ROWS = "app.lead_imports", "app.lead_import_blocks", "app.lead_import_rows"
CHANGES, MAPPINGS = "app.lead_import_changes", "app.lead_import_mappings"
LEAD, OTHER_LEAD = uuid4(), uuid4()


class Files:
    """Adds imports with what came in by their files."""

    def __init__(self, workspaces: TwoWorkspaces) -> None:
        self._workspaces = workspaces

    def add(
        self,
        *,
        blocks: dict[int, tuple[int, int]] | None = None,
        rows: dict[int, tuple[str | None, str | None]] | None = None,
        changed: dict[int, UUID] | None = None,
        unclear: Collection[int] = (),
    ) -> UUID:
        """Insert an import with blocks by number, rows of (address, problem) and changed leads by line.

        The rows on the lines of `unclear` have a time zone that is not clear.
        """
        workspaces, import_id = self._workspaces, self._workspaces.add(IMPORTS)
        for number, (first, last) in sorted((blocks or {}).items(), reverse=True):
            span = {"first_line": first, "last_line": last, "row_count": last - first}
            content = f"block {number}".encode()
            insert_row(workspaces, BLOCKS, import_id=import_id, number=number, content=content, **span)
        for line, (email, problem) in (rows or {}).items():
            values = {"email": email, "problem": problem, "has_unknown_timezone": line in unclear}
            insert_row(workspaces, ROWS, import_id=import_id, line_number=line, **values)
        for line, lead_id in (changed or {}).items():
            insert_row(workspaces, CHANGES, import_id=import_id, line_number=line, lead_id=lead_id, before=Jsonb({}))
        return import_id

    def key(self, import_id: UUID, part: int) -> str:
        """Return the key of a block, a row or a change."""
        return f"{self._workspaces.id} {import_id} {part}"


async def test_each_reading_is_of_one_file(two_workspaces: TwoWorkspaces) -> None:
    """Blocks, problems and lines are those of the named import, of the given lines and addresses."""
    workspaces, files = two_workspaces, Files(two_workspaces)
    problems = {line: (None, f"problem {line}") for line in range(2, 7)}
    mine = files.add(
        blocks={0: (2, 5), 1: (6, 9)},
        rows={**problems, 4: ("other@x.co", None), 7: ("ann@x.co", None)},
        changed={3: LEAD, 8: OTHER_LEAD},
        unclear={4, 7},
    )
    other_rows = {6: ("ann@x.co", None), 5: (None, "its"), 3: ("eve@x.co", None)}
    other = files.add(blocks={0: (2, 3), 1: (4, 5)}, rows=other_rows, changed={9: LEAD}, unclear={3})
    empty = files.add()
    columns = {"known": [{"position": 1}], "other": [{"position": 2}]}
    for headers_hash in ("other", "known"):
        insert_row(workspaces, MAPPINGS, headers_hash=headers_hash, columns=Jsonb(columns[headers_hash]))

    async def read(session: AsyncSession) -> dict[str, Any]:
        of_mine = (session, workspaces.id, mine)
        return {
            "blocks": [await repository.find_block(*of_mine, number) for number in (0, 1, 2)],
            "spans": await repository.list_blocks(*of_mine),
            "files": set(await repository.list_files(session, workspaces.id)),
            "has file": [await repository.has_file(session, workspaces.id, id_) for id_ in (mine, other, empty)],
            "problems": await repository.find_problems(*of_mine, (3, 5)),
            "lines": await repository.find_lines(*of_mine, lead_ids=[LEAD], address="ann@x.co"),
            "mapping": await repository.find_saved_mapping(session, workspaces.id, "known"),
            "nothing": await repository.find_saved_mapping(session, workspaces.id, "unknown"),
        }

    acted = await run_act(workspaces, read)
    spans = [Span((2, 5), 3), Span((6, 9), 3)]
    assert acted.result == {
        "blocks": [Block(spans[0], b"block 0"), Block(spans[1], b"block 1"), None],
        "spans": spans,
        "files": {mine, other},
        "has file": [True, True, False],
        "problems": {3: "problem 3", 4: UNKNOWN_TIMEZONE, 5: "problem 5"},
        "lines": {3, 7},
        "mapping": columns["known"],
        "nothing": None,
    }
    assert acted.changes == {}


async def test_each_change_is_of_one_file(two_workspaces: TwoWorkspaces) -> None:
    """A block is replaced, lines are erased, a mapping is kept and an import is changed; no row beside them is."""
    workspaces, files = two_workspaces, Files(two_workspaces)
    rows: dict[int, tuple[str | None, str | None]] = {line: (f"{line}@x.co", None) for line in range(2, 6)}
    parts: dict[str, Any] = {
        "blocks": {0: (2, 5), 1: (6, 9), 2: (10, 11)},
        "rows": rows,
        "changed": dict.fromkeys(rows, LEAD),
    }
    mine = files.add(**parts, unclear={3, 4})
    files.add(**parts, unclear={3, 4})
    for headers_hash in ("known", "other"):
        insert_row(workspaces, MAPPINGS, headers_hash=headers_hash, columns=Jsonb([]))

    async def change(session: AsyncSession) -> None:
        await repository.change_block(session, workspaces.id, mine, 1, b"new")
        await repository.erase_rows(session, workspaces.id, mine, {3, 5})
        await repository.save_mapping(session, workspaces.id, "known", [{"position": 0}])
        await repository.change_import(session, workspaces.id, mine, {"row_count": 7})

    acted = await run_act(workspaces, change)
    erased = {files.key(mine, line) for line in (3, 5)}
    assert acted.rows == {
        IMPORTS: {str(mine)},
        BLOCKS: {files.key(mine, 1)},
        ROWS: erased,
        CHANGES: erased,
        MAPPINGS: {f"{workspaces.id} known"},
    }
    assert acted.changes[ROWS][files.key(mine, 3)] == {
        "email": ("3@x.co", None),
        "problem": (None, ERASED),
        "has_unknown_timezone": (True, False),
    }


async def test_a_file_is_deleted_alone(two_workspaces: TwoWorkspaces) -> None:
    """All blocks, rows and changes of a file are deleted, and its import and all other files stay."""
    workspaces, files = two_workspaces, Files(two_workspaces)
    parts: dict[str, Any] = {"blocks": {0: (2, 5), 1: (6, 9)}, "rows": {2: (None, "x"), 3: (None, "y")}}
    mine, _ = (files.add(**parts, changed={2: LEAD, 4: LEAD}) for _ in range(2))
    acted = await run_act(workspaces, lambda session: repository.delete_file(session, workspaces.id, mine))
    assert acted.rows == {
        BLOCKS: {files.key(mine, number) for number in (0, 1)},
        ROWS: {files.key(mine, line) for line in (2, 3)},
        CHANGES: {files.key(mine, line) for line in (2, 4)},
    }


async def test_rows_are_settled_in_place_of_those_before(two_workspaces: TwoWorkspaces) -> None:
    """The rows of a file replace its earlier ones; each later row of an address names the first line that has it.

    The strongest opt-out of an address is that of all its rows.
    """
    workspaces, files = two_workspaces, Files(two_workspaces)
    parts: dict[str, Any] = {"rows": {2: ("old@x.co", None), 99: ("old@x.co", None)}}
    mine, other = (files.add(**parts) for _ in range(2))

    async def settle(session: AsyncSession) -> None:
        await repository.create_rows_table(session)
        lines = (
            "2,ann@x.co,,,true",
            "3,,first problem,,false",
            "4,bob@x.co,,,true",
            "5,ann@x.co,,hard_bounce,false",
            "6,ann@x.co,,complaint,false",
            "7,,again,,false",
            "8,eve@x.co,,,false",
        )
        await repository.copy_rows(session, "".join(f"{line}\n" for line in lines).encode())
        counts = await repository.store_rows(session, workspaces.id, mine)
        assert counts == {"opted_out_count": 3, "unknown_timezone_count": 1}

    acted = await run_act(workspaces, settle)
    rows = workspaces.owner.execute(
        "SELECT import_id, line_number, email, problem, first_line, opt_out, has_unknown_timezone"
        " FROM app.lead_import_rows"
        " WHERE import_id = ANY(%s) ORDER BY import_id, line_number",
        [[mine, other]],
    ).fetchall()
    assert [row[1:] for row in rows if row[0] == mine] == [
        (2, "ann@x.co", None, None, "complaint", False),
        (3, None, "first problem", None, None, False),
        (4, "bob@x.co", None, None, None, True),
        (5, "ann@x.co", None, 2, "complaint", False),
        (6, "ann@x.co", None, 2, "complaint", False),
        (7, None, "again", None, None, False),
        (8, "eve@x.co", None, None, None, False),
    ]
    assert acted.rows == {ROWS: {files.key(mine, line) for line in (*range(2, 9), 99)}}
