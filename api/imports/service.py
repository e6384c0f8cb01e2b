"""Uploads: a file is read, mapped and stored in blocks; its mapping can be changed until its commit."""

import asyncio
import csv
import hashlib
import io
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
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
from api.http.parsing import RunParser
from api.http.resources import Services
from api.imports.files.blocks import read_frames, read_layout
from api.imports.files.encodings import CODECS, Encoding, find_codec
from api.imports.files.errors import UnreadableFile
from api.imports.files.layout import Layout
from api.imports.files.text import open_text_reader
from api.imports.packing import LINE, cells_of, find_rows_with, pack_rows, remove_rows, unpack_rows
from api.imports.repository import uploads
from api.imports.repository.uploads import ERASED, Block, Span
from api.imports.values import FileColumns, find_problems, find_watched_opt_outs, get_file_columns
from database import jobs
from database.landing import allow_long_statements
from database.models import DuplicatePolicy, LeadImport, Workspace
from database.tenancy import Scope, transaction
from domain.job_types import EXPIRE_IMPORT
from domain.lead import MAX_FIELD_NAME_CHARACTERS, SegmentThresholds
from domain.lead_import import RETENTION, ImportEvent, ImportState, imported_line, next_state

MAX_ROWS = 1_000_000
MAX_LIST_NAME_CHARACTERS = 200
IN_MEMORY_BYTES = 4 * 1024 * 1024
BUSY = timedelta(hours=1)
"""How long to wait before a file that is being committed or undone is checked again."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """An uploaded file that can be read, and the proposed mapping of its columns."""

    text: IO[str]
    layout: Layout
    proposed: CsvMappingOutput
    encoding: Encoding | None
    """None for a workbook."""
    run_parser: RunParser
    """Runs the parser in a thread of the workspace's share."""


@asynccontextmanager
async def read_upload(
    services: Services,
    workspace_id: UUID,
    file: IO[bytes],
    *,
    sheet: str | None,
    encoding: str | None,
    actor: UUID,
) -> AsyncIterator[ReadFile]:
    """Open a file and map its columns; raises UnreadableFile. Call it outside a transaction: it may call a model."""
    codec = find_codec(encoding) if encoding is not None else None
    if encoding is not None and codec is None:
        sentence = f"'{encoding}' is not a known encoding. Use one of {', '.join(CODECS)}."
        raise Malformed(sentence, errors=[{"location": ["body", "encoding"], "message": sentence}])
    found: list[Encoding] = []
    run_parser = services.files.of(workspace_id)
    async with open_text_reader(file, sheet=sheet, codec=codec, report=found.append, run_parser=run_parser) as text:
        layout, samples = await run_parser(read_layout, text)
        await asyncio.to_thread(load_graph, CSV_MAPPING.name)
        async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
            saved = await uploads.find_saved_mapping(session, workspace_id, _hash_headers(layout.headers))
        remembered = [ColumnMapping.model_validate(column) for column in saved] if saved is not None else None
        given = CsvMappingInput(headers=layout.headers, samples=samples, remembered=remembered)
        context = ai_context(services, workspace_id, actor=str(actor), tags=("import",))
        proposed = await run(CSV_MAPPING, given, context=context)
        if not any(column.target is Target.EMAIL for column in proposed.columns):
            raise UnreadableFile("No column of the file contains email addresses.")
        yield ReadFile(text, layout, proposed, found[-1] if found else None, run_parser)


def _hash_headers(headers: Sequence[str]) -> str:
    """Return a hash of the headers in any order and case, by which a mapping is remembered."""
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
    """Store the rows of a file and its mapping; raises UnreadableFile for a file with too many rows."""
    file_name = PurePath(file_name.replace("\x00", "").replace("\\", "/")).name or "upload"
    await allow_long_statements(session)
    new = await uploads.add_import(
        session,
        workspace.id,
        file_name=file_name,
        list_name=list_name or PurePath(file_name).stem[:MAX_LIST_NAME_CHARACTERS] or "Import",
        state=ImportState.MAPPED,
        headers=file.layout.headers,
        mapping=[column.model_dump(mode="json") for column in file.proposed.columns],
        fallback_reason=file.proposed.fallback_reason,
        encoding=asdict(file.encoding) if file.encoding is not None else None,
        duplicate_policy=policy,
        expires_at=now + RETENTION,
    )
    columns = get_file_columns(file.proposed.columns, get_segment_thresholds(workspace))
    await uploads.create_rows_table(session)
    number = row_count = 0
    watched_opt_outs = set[int]()
    prepared = _prepared(read_frames(file.text, file.layout), columns, watched_opt_outs)
    async with _prefetched(prepared, file.run_parser) as blocks:
        async for block, rows in blocks:
            await uploads.add_block(session, workspace.id, new.id, number, block)
            await uploads.copy_rows(session, rows)
            number, row_count = number + 1, row_count + block.span.row_count
            if row_count > MAX_ROWS:
                raise UnreadableFile(f"The file has more than {MAX_ROWS:,} rows. Split it and upload the parts.")
    counts = await uploads.store_rows(session, workspace.id, new.id)
    await jobs.enqueue(session, EXPIRE_IMPORT, workspace.id, [jobs.Job(new.expires_at, {"importId": str(new.id)})])
    mapping = [
        _as_opt_out(column) if column.position in watched_opt_outs else column for column in file.proposed.columns
    ]
    values = {
        "row_count": row_count,
        **counts,
        "mapping": [column.model_dump(mode="json") for column in mapping],
    }
    return await uploads.change_import(session, workspace.id, new.id, values)


def _as_opt_out(column: ColumnMapping) -> ColumnMapping:
    """Return the mapping of a status of which some row, but none of the samples, says not to mail."""
    return column.model_copy(update={"target": Target.OPT_OUT, "custom_name": None, "confidence": 0.95})


def get_segment_thresholds(workspace: Workspace) -> SegmentThresholds:
    """Return the numbers of employees from which a company is of each segment in a workspace."""
    return SegmentThresholds(workspace.mid_market_from, workspace.enterprise_from)


def _prepared(
    rows: Iterator[pl.DataFrame], columns: FileColumns, watched_opt_outs: set[int]
) -> Iterator[tuple[Block, bytes]]:
    """Yield each block of a file, and the addresses and problems of its rows as CSV; collect the watched opt-outs."""
    for frame in rows:
        watched_opt_outs |= find_watched_opt_outs(frame, columns)
        span = Span((frame[LINE][0], frame[LINE][-1]), frame.height)
        yield Block(span, pack_rows(frame)), _as_csv(find_problems(frame, columns))


def _check_rows(block: Block, columns: FileColumns) -> bytes:
    return _as_csv(find_problems(unpack_rows(block.content), columns))


def _as_csv(rows: pl.DataFrame) -> bytes:
    return rows.write_csv(include_header=False).encode()


@asynccontextmanager
async def _prefetched(
    prepared: Iterator[tuple[Block, bytes]], run_parser: RunParser
) -> AsyncIterator[AsyncIterator[tuple[Block, bytes]]]:
    """Yield an iterator of the same items; a thread prepares the next item while the caller handles the current one."""

    def start() -> asyncio.Task[tuple[Block, bytes] | None]:
        return asyncio.create_task(run_parser(next, prepared, None))

    upcoming = start()

    async def each() -> AsyncIterator[tuple[Block, bytes]]:
        nonlocal upcoming
        while (ready := await upcoming) is not None:
            upcoming = start()
            yield ready

    try:
        yield each()
    finally:
        # Do not close the file while the thread still reads it.
        await asyncio.wait({upcoming})


async def get_import(session: AsyncSession, workspace_id: UUID, import_id: UUID) -> LeadImport:
    """Return an import; raises NotFound."""
    return _or_404(await uploads.find_import(session, workspace_id, import_id))


async def lock_import(session: AsyncSession, workspace_id: UUID, import_id: UUID) -> LeadImport:
    """Return an import, locked until the transaction ends; raises NotFound."""
    return _or_404(await uploads.find_import(session, workspace_id, import_id, lock=True))


def _or_404(record: LeadImport | None) -> LeadImport:
    if record is None:
        raise NotFound("There is no such import.")
    return record


async def require_stored_file(session: AsyncSession, record: LeadImport, now: datetime) -> None:
    """Raise Conflict if the file is no longer stored."""
    if record.expires_at <= now or not await uploads.has_file(session, record.workspace_id, record.id):
        raise Conflict(f"The file was stored until {record.expires_at:%d %B %Y}. Upload it again.")


def columns_of(record: LeadImport, workspace: Workspace) -> FileColumns:
    """Return which cell of a row of the import fills which field."""
    return get_file_columns(
        [ColumnMapping.model_validate(column) for column in record.mapping], get_segment_thresholds(workspace)
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
    """Change the mapping, check every row again, and remember the mapping for the next file with the same headers.

    `columns` are (position, target, custom_name) each. Raises NotFound, Malformed if they are not the file's columns
    or name a field twice, and Conflict if the import is committed or its file is deleted.
    """
    record = await lock_import(session, workspace.id, import_id)
    state = next_state(ImportState(record.state), ImportEvent.MAPPING_CHANGED)
    await require_stored_file(session, record, now)
    given = {column["position"]: column for column in columns}
    if sorted(given) != list(range(len(record.headers))) or len(columns) != len(given):
        raise _mapping_problem(
            f"The mapping must name each of the file's {len(record.headers)} columns once, counted from 0."
        )
    mapping = [_confirm(ColumnMapping.model_validate(column), given[column["position"]]) for column in record.mapping]
    _check_mapping(mapping)
    values: dict[str, Any] = {"mapping": [column.model_dump(mode="json") for column in mapping], "state": state}
    if policy is not None:
        values["duplicate_policy"] = policy
    changed = await uploads.change_import(session, workspace.id, import_id, values)
    counts = await _recheck_rows(session, changed, columns_of(changed, workspace))
    changed = await uploads.change_import(session, workspace.id, import_id, counts)
    saved = [column.model_dump(mode="json", exclude={"samples"}) for column in mapping]
    await uploads.save_mapping(session, workspace.id, _hash_headers(record.headers), saved)
    return changed


async def _recheck_rows(session: AsyncSession, record: LeadImport, columns: FileColumns) -> dict[str, int]:
    """Check every row again; returns the import's counts of them."""
    await allow_long_statements(session)
    await uploads.create_rows_table(session)
    number = 0
    while (block := await uploads.find_block(session, record.workspace_id, record.id, number)) is not None:
        await uploads.copy_rows(session, await asyncio.to_thread(_check_rows, block, columns))
        number += 1
    return await uploads.store_rows(session, record.workspace_id, record.id)


def _confirm(column: ColumnMapping, given: dict[str, Any]) -> ColumnMapping:
    name = given["custom_name"] or column.custom_name or column.header[:MAX_FIELD_NAME_CHARACTERS]
    custom = name if given["target"] is Target.CUSTOM else None
    # The user confirms the columns that they leave unchanged as well.
    return column.model_copy(
        update={"target": given["target"], "custom_name": custom, "confidence": 1.0, "decided_by": "person"}
    )


def _check_mapping(mapping: Sequence[ColumnMapping]) -> None:
    targets = [column.target for column in mapping if column.target not in REPEATABLE]
    if Target.EMAIL not in targets:
        raise _mapping_problem("One column must be the email address.")
    for target in _find_repeated(targets):
        raise _mapping_problem(f"Only one column can be {target}.")
    for name in _find_repeated(column.custom_name.casefold() for column in mapping if column.custom_name):
        raise _mapping_problem(f"Two columns cannot be the same custom field '{name}'.")


def _find_repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _mapping_problem(sentence: str) -> Malformed:
    return Malformed(sentence, errors=[{"location": ["body", "columns"], "message": sentence}])


async def write_errors(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> IO[bytes]:
    """Return the rows that cannot be used or have an unclear time zone, as CSV: line, reason and original cells.

    Raises NotFound, and Conflict if the file is deleted.
    """
    record = await get_import(session, workspace_id, import_id)
    await require_stored_file(session, record, now)
    target = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - the response closes it
    lines = io.TextIOWrapper(target, encoding="utf-8-sig", newline="")
    writer = csv.writer(lines)
    writer.writerow(["Line", "Reason", *record.headers])
    number = 0
    while (block := await uploads.find_block(session, workspace_id, import_id, number)) is not None:
        problems = await uploads.find_problems(session, workspace_id, import_id, block.span.lines)
        if problems:
            rows = unpack_rows(block.content)
            reported = cells_of(rows.filter(pl.col(LINE).is_in(list(problems))))
            writer.writerows([line, problems[line], *cells] for line, cells in reported.iter_rows())
        number += 1
    lines.detach()
    target.seek(0)
    return target


async def expire_import(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> datetime | None:
    """Delete an expired file and the changes of its commit, or return when to check it again."""
    record = await uploads.find_import(session, workspace_id, import_id, lock=True)
    if record is None:
        return None
    is_busy = record.state in {ImportState.COMMITTING, ImportState.UNDOING}
    if record.expires_at > now or is_busy:
        return max(record.expires_at, now + BUSY) if is_busy else record.expires_at
    await allow_long_statements(session)
    await uploads.delete_file(session, workspace_id, import_id)
    return None


async def erase_person(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], *, address: str | None, mention: str | None
) -> None:
    """Erase the rows of stored files that became one of some leads, have an address or mention it in any cell."""
    for import_id in await uploads.list_files(session, workspace_id):
        record = await lock_import(session, workspace_id, import_id)
        lines = await uploads.find_lines(session, workspace_id, import_id, lead_ids=lead_ids, address=address)
        if record.first_lead_id is not None:
            lines |= {line for lead in lead_ids if (line := imported_line(record.first_lead_id, lead)) is not None}
        erased: set[int] = set()
        number = 0
        while (block := await uploads.find_block(session, workspace_id, import_id, number)) is not None:
            lines_erased, content = await asyncio.to_thread(_remove_person, block, lines, mention)
            if lines_erased:
                await uploads.change_block(session, workspace_id, import_id, number, content)
                erased |= lines_erased
            number += 1
        if erased:
            await uploads.erase_rows(session, workspace_id, import_id, erased)
            # It is not known from which rows the samples were taken.
            mapping = [{**column, "samples": []} for column in record.mapping]
            encoding = {**record.encoding, "samples": []} if record.encoding is not None else None
            values = {"mapping": mapping, "encoding": encoding}
            await uploads.change_import(session, workspace_id, import_id, values)


def _remove_person(block: Block, lines: set[int], mention: str | None) -> tuple[set[int], bytes]:
    """Return the lines whose rows were erased, and the packed rows of the block after that."""
    rows = unpack_rows(block.content)
    erased = {line for line in lines if block.span.lines[0] <= line <= block.span.lines[1]}
    if mention is not None:
        erased.update(find_rows_with(rows, mention))
    return erased, pack_rows(remove_rows(rows, erased, reason=ERASED)) if erased else b""
