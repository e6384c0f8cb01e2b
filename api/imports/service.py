"""How a file comes in: read and mapped, stored block by block, its mapping settled by a person, kept for a while."""

import asyncio
import csv
import hashlib
import io
import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import IO, Any
from uuid import UUID

import polars as pl
from sqlalchemy.ext.asyncio import AsyncSession

from ai.registry import CSV_MAPPING, load_graph
from ai.run import run
from ai.workflows.csv_mapping.state import REPEATABLE, ColumnMapping, CsvMappingInput, CsvMappingOutput, Target
from api.accounts.usage.service import ai_context
from api.http.errors import Conflict, Malformed, NotFound
from api.http.pagination import PageRequest
from api.http.resources import Services
from api.imports import repository
from api.imports.files.blocks import read_frames, read_layout
from api.imports.files.errors import UnreadableFile
from api.imports.files.layout import Layout
from api.imports.files.text import open_text_reader
from api.imports.packing import LINE, cells_of, find_rows_with, pack_rows, remove_rows, unpack_rows
from api.imports.repository import Block, Span
from api.imports.values import FileColumns, find_problems, get_file_columns
from api.people.leads.schemas import MAX_NAME_CHARACTERS
from database import jobs
from database.landing import allow_long_statements
from database.models import DuplicatePolicy, LeadImport, Workspace
from database.tenancy import Scope, transaction
from domain.lead import SegmentThresholds
from domain.lead_import import RETENTION, ImportEvent, ImportState, imported_line, next_state

EXPIRE_IMPORT = "expire_import"
MAX_ROWS = 1_000_000
MAX_LIST_NAME_CHARACTERS = 200
IN_MEMORY_BYTES = 4 * 1024 * 1024
BUSY = timedelta(hours=1)
"""How long a file that is being committed or undone is let be before it is looked at again."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """An uploaded file that can be read, and the mapping that is proposed for its columns."""

    text: IO[str]
    layout: Layout
    proposed: CsvMappingOutput


@asynccontextmanager
async def read_upload(
    services: Services, workspace_id: UUID, file: IO[bytes], *, sheet: str | None, actor: UUID
) -> AsyncIterator[ReadFile]:
    """Open a file and map its columns, outside any transaction: a model may be asked; raises UnreadableFile."""
    async with open_text_reader(file, sheet=sheet) as text:
        layout, samples = await asyncio.to_thread(read_layout, text)
        await asyncio.to_thread(load_graph, CSV_MAPPING.name)
        async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
            known = await repository.find_saved_mapping(session, workspace_id, _hash_of(layout.headers))
        remembered = [ColumnMapping.model_validate(one) for one in known] if known is not None else None
        asked = CsvMappingInput(headers=layout.headers, samples=samples, remembered=remembered)
        context = ai_context(services, workspace_id, actor=str(actor), tags=("import",))
        proposed = await run(CSV_MAPPING, asked, context=context)
        if not any(one.target is Target.EMAIL for one in proposed.columns):
            raise UnreadableFile("No column of the file contains email addresses.")
        yield ReadFile(text, layout, proposed)


def _hash_of(headers: Sequence[str]) -> str:
    """Return by what a file with these columns, in any order, is known again."""
    return hashlib.sha256(json.dumps(sorted(header.casefold() for header in headers)).encode()).hexdigest()


async def receive_upload(
    session: AsyncSession,
    workspace: Workspace,
    file: ReadFile,
    *,
    file_name: str,
    list_name: str | None,
    policy: DuplicatePolicy,
    now: datetime,
) -> LeadImport:
    """Store a file's rows and the mapping together; raises UnreadableFile for one of too many rows."""
    file_name = PurePath(file_name.replace("\x00", "").replace("\\", "/")).name or "upload"
    await allow_long_statements(session)
    new = await repository.add_import(
        session,
        workspace.id,
        file_name=file_name,
        list_name=list_name or PurePath(file_name).stem[:MAX_LIST_NAME_CHARACTERS] or "Import",
        state=ImportState.MAPPED,
        headers=file.layout.headers,
        mapping=[one.model_dump(mode="json") for one in file.proposed.columns],
        fallback_reason=file.proposed.fallback_reason,
        duplicate_policy=policy,
        expires_at=now + RETENTION,
    )
    columns = get_file_columns(file.proposed.columns, get_segment_thresholds(workspace))
    await repository.open_rows(session)
    number = row_count = 0
    async with _ahead(_prepared(read_frames(file.text, file.layout), columns)) as blocks:
        async for block, judged in blocks:
            await repository.add_block(session, workspace.id, new.id, number, block)
            await repository.land_rows(session, judged)
            number, row_count = number + 1, row_count + block.span.row_count
            if row_count > MAX_ROWS:
                raise UnreadableFile(f"The file has more than {MAX_ROWS:,} rows; split it and upload the parts.")
    await repository.settle_rows(session, workspace.id, new.id)
    await jobs.enqueue(session, EXPIRE_IMPORT, workspace.id, [jobs.Job(new.expires_at, {"importId": str(new.id)})])
    return await repository.change_import(session, workspace.id, new.id, {"row_count": row_count})


def get_segment_thresholds(workspace: Workspace) -> SegmentThresholds:
    """Return from how many employees on a company is of which segment for a workspace."""
    return SegmentThresholds(workspace.mid_market_from, workspace.enterprise_from)


def _prepared(rows: Iterator[pl.DataFrame], columns: FileColumns) -> Iterator[tuple[Block, bytes]]:
    """Yield each block of a file with what its rows were judged to be, as CSV."""
    for frame in rows:
        span = Span((frame[LINE][0], frame[LINE][-1]), frame.height)
        yield Block(span, pack_rows(frame)), _as_csv(find_problems(frame, columns))


def _judged(block: Block, columns: FileColumns) -> bytes:
    return _as_csv(find_problems(unpack_rows(block.content), columns))


def _as_csv(rows: pl.DataFrame) -> bytes:
    return rows.write_csv(include_header=False).encode()


@asynccontextmanager
async def _ahead(
    prepared: Iterator[tuple[Block, bytes]],
) -> AsyncIterator[AsyncIterator[tuple[Block, bytes]]]:
    """Give what an iterator yields, the next always prepared in a thread while the one before is dealt with."""

    def start() -> asyncio.Task[tuple[Block, bytes] | None]:
        return asyncio.create_task(asyncio.to_thread(next, prepared, None))

    upcoming = start()

    async def each() -> AsyncIterator[tuple[Block, bytes]]:
        nonlocal upcoming
        while (ready := await upcoming) is not None:
            upcoming = start()
            yield ready

    try:
        yield each()
    finally:
        # Nobody may close the file under the thread that still reads it.
        await asyncio.wait({upcoming})


async def get_import(session: AsyncSession, workspace_id: UUID, import_id: UUID) -> LeadImport:
    """Return an import; raises NotFound."""
    return _there(await repository.find_import(session, workspace_id, import_id))


async def lock_import(session: AsyncSession, workspace_id: UUID, import_id: UUID) -> LeadImport:
    """Return an import, held against changes until the transaction ends; raises NotFound."""
    return _there(await repository.find_import(session, workspace_id, import_id, hold=True))


def _there(found: LeadImport | None) -> LeadImport:
    if found is None:
        raise NotFound("There is no such import.")
    return found


async def list_imports(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[LeadImport]:
    """Return the workspace's imports, newest first, one more than the page holds."""
    return await repository.list_imports(session, workspace_id, page)


async def require_stored_file(session: AsyncSession, found: LeadImport, now: datetime) -> None:
    """Make sure that a file is still kept; raises Conflict."""
    if found.expires_at <= now or not await repository.has_file(session, found.workspace_id, found.id):
        raise Conflict(f"The file was kept until {found.expires_at:%d %B %Y}; upload it again.")


def columns_of(found: LeadImport, workspace: Workspace) -> FileColumns:
    """Return how the rows of an import are read."""
    return get_file_columns(
        [ColumnMapping.model_validate(one) for one in found.mapping], get_segment_thresholds(workspace)
    )


async def change_mapping(
    session: AsyncSession,
    workspace: Workspace,
    import_id: UUID,
    columns: Sequence[dict[str, Any]],
    *,
    policy: DuplicatePolicy | None,
    now: datetime,
) -> LeadImport:
    """Settle what the columns are, judge every row anew, and remember it for the next file with the same headers.

    `columns` are (position, target, custom_name) each. Raises NotFound, Malformed when they are not the file's columns
    or claim a field twice, and Conflict once the import is on its way or its file is gone.
    """
    found = await lock_import(session, workspace.id, import_id)
    state = next_state(ImportState(found.state), ImportEvent.MAPPING_CHANGED)
    await require_stored_file(session, found, now)
    given = {one["position"]: one for one in columns}
    if sorted(given) != list(range(len(found.headers))) or len(columns) != len(given):
        raise _mapping_problem(
            f"The mapping must name each of the file's {len(found.headers)} columns once, counted from 0."
        )
    mapping = [_settled(ColumnMapping.model_validate(now), given[now["position"]]) for now in found.mapping]
    _check_mapping(mapping)
    values: dict[str, Any] = {"mapping": [one.model_dump(mode="json") for one in mapping], "state": state}
    if policy is not None:
        values["duplicate_policy"] = policy
    changed = await repository.change_import(session, workspace.id, import_id, values)
    await _recheck_rows(session, changed, columns_of(changed, workspace))
    known = [one.model_dump(mode="json", exclude={"samples"}) for one in mapping]
    await repository.save_mapping(session, workspace.id, _hash_of(found.headers), known)
    return changed


async def _recheck_rows(session: AsyncSession, found: LeadImport, columns: FileColumns) -> None:
    await allow_long_statements(session)
    await repository.open_rows(session)
    number = 0
    while (block := await repository.find_block(session, found.workspace_id, found.id, number)) is not None:
        await repository.land_rows(session, await asyncio.to_thread(_judged, block, columns))
        number += 1
    await repository.settle_rows(session, found.workspace_id, found.id)


def _settled(now: ColumnMapping, given: dict[str, Any]) -> ColumnMapping:
    name = given["custom_name"] or now.custom_name or now.header[:MAX_NAME_CHARACTERS]
    custom = name if given["target"] is Target.CUSTOM else None
    # What a person has looked at and left is as much theirs as what they changed.
    return now.model_copy(
        update={"target": given["target"], "custom_name": custom, "confidence": 1.0, "decided_by": "person"}
    )


def _check_mapping(mapping: Sequence[ColumnMapping]) -> None:
    targets = [one.target for one in mapping if one.target not in REPEATABLE]
    if Target.EMAIL not in targets:
        raise _mapping_problem("One column must be the email address.")
    for target in targets:
        if targets.count(target) > 1:
            raise _mapping_problem(f"Only one column can be {target}.")
    names = [one.custom_name.casefold() for one in mapping if one.custom_name]
    for name in names:
        if names.count(name) > 1:
            raise _mapping_problem(f"Two columns cannot be the same custom field '{name}'.")


def _mapping_problem(sentence: str) -> Malformed:
    return Malformed(sentence, errors=[{"location": ["body", "columns"], "message": sentence}])


async def write_errors(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> IO[bytes]:
    """Return the rows that cannot be used as a CSV file, at its start: line, reason, and the cells as they were.

    Raises NotFound, and Conflict when the file is gone.
    """
    found = await get_import(session, workspace_id, import_id)
    await require_stored_file(session, found, now)
    target = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - whoever sends it closes it
    lines = io.TextIOWrapper(target, encoding="utf-8-sig", newline="")
    writer = csv.writer(lines)
    writer.writerow(["Line", "Reason", *found.headers])
    number = 0
    while (block := await repository.find_block(session, workspace_id, import_id, number)) is not None:
        problems = await repository.find_problems(session, workspace_id, import_id, block.span.lines)
        if problems:
            rows = unpack_rows(block.content)
            unusable = cells_of(rows.filter(pl.col(LINE).is_in(list(problems))))
            writer.writerows([line, problems[line], *cells] for line, cells in unusable.iter_rows())
        number += 1
    lines.detach()
    target.seek(0)
    return target


async def expire_import(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> datetime | None:
    """Delete a file that is kept no longer, and what its commit changed; returns until when it is, if it is still."""
    found = await repository.find_import(session, workspace_id, import_id, hold=True)
    if found is None:
        return None
    is_busy = found.state in {ImportState.COMMITTING, ImportState.UNDOING}
    if found.expires_at > now or is_busy:
        return max(found.expires_at, now + BUSY) if is_busy else found.expires_at
    await allow_long_statements(session)
    await repository.delete_file(session, workspace_id, import_id)
    return None


async def erase_person(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], *, address: str | None, mention: str | None
) -> None:
    """Empty every row of a kept file that became one of some leads, is about an address or mentions it anywhere."""
    for import_id in await repository.list_files(session, workspace_id):
        found = await lock_import(session, workspace_id, import_id)
        lines = await repository.find_lines(session, workspace_id, import_id, lead_ids=lead_ids, address=address)
        if found.first_lead_id is not None:
            lines |= {line for lead in lead_ids if (line := imported_line(found.first_lead_id, lead)) is not None}
        erased: set[int] = set()
        number = 0
        while (block := await repository.find_block(session, workspace_id, import_id, number)) is not None:
            gone, content = await asyncio.to_thread(_remove_person, block, lines, mention)
            if gone:
                await repository.change_block(session, workspace_id, import_id, number, content)
                erased |= gone
            number += 1
        if erased:
            await repository.erase_rows(session, workspace_id, import_id, erased)
            # The samples come from some of the rows, and nothing says from which.
            mapping = [{**column, "samples": []} for column in found.mapping]
            await repository.change_import(session, workspace_id, import_id, {"mapping": mapping})


def _remove_person(block: Block, lines: set[int], mention: str | None) -> tuple[set[int], bytes]:
    """Return which of a block's rows had to be emptied, and the block as it is then."""
    rows = unpack_rows(block.content)
    gone = {line for line in lines if block.span.lines[0] <= line <= block.span.lines[1]}
    if mention is not None:
        gone.update(find_rows_with(rows, mention))
    return gone, pack_rows(remove_rows(rows, gone, reason=repository.ERASED)) if gone else b""
