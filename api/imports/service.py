"""How a file becomes leads: received and mapped, its mapping settled by a person, looked at, committed."""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import PurePath
from typing import IO, Any
from uuid import UUID
from zoneinfo import available_timezones

from sqlalchemy.ext.asyncio import AsyncSession

from ai.registry import CSV_MAPPING, graph_of
from ai.run import run
from ai.workflows.csv_mapping.state import REPEATABLE, ColumnMapping, CsvMappingInput, Target
from api.errors import Conflict, Malformed, NotFound
from api.imports import repository
from api.imports.repository import Plan
from api.lists import service as lists
from api.pagination import PageRequest
from api.resources import Services
from api.tabular.addresses import check_addresses
from api.tabular.blocks import blocks, read_layout
from api.tabular.layout import Layout
from api.tabular.text import UnreadableFile, open_text
from database import jobs
from database.landing import allow_long_statements
from database.models import DuplicatePolicy, ImportState, LeadImport, RowOutcome

COMMIT_IMPORT = "commit_import"
MAX_NAME_CHARACTERS = 200
IN_MEMORY_BYTES = 4 * 1024 * 1024
FIELDS = {
    Target.EMAIL: "email",
    Target.FIRST_NAME: "first_name",
    Target.LAST_NAME: "last_name",
    Target.FULL_NAME: "full_name",
    Target.COMPANY: "company",
    Target.ROLE: "role",
    Target.SEGMENT: "segment",
    Target.TIMEZONE: "timezone",
}


@dataclass(frozen=True, slots=True)
class ReadFile:
    """An uploaded file that can be read, and the mapping that is proposed for its columns."""

    text: IO[str]
    layout: Layout
    columns: Sequence[ColumnMapping]


@asynccontextmanager
async def reading(services: Services, workspace_id: UUID, file: IO[bytes], *, actor: UUID) -> AsyncIterator[ReadFile]:
    """Open a file and map its columns, outside any transaction: a model may be asked; raises UnreadableFile."""
    text = await asyncio.to_thread(open_text, file)
    try:
        layout, samples = await asyncio.to_thread(read_layout, text)
        await asyncio.to_thread(graph_of, CSV_MAPPING.name)
        context = services.ai_context(workspace_id, actor=str(actor), tags=("import",))
        mapped = await run(CSV_MAPPING, CsvMappingInput(headers=layout.headers, samples=samples), context=context)
        if not any(one.target is Target.EMAIL for one in mapped.columns):
            raise UnreadableFile("No column of the file holds email addresses.")
        yield ReadFile(text, layout, mapped.columns)
    finally:
        text.close()


async def receive(
    session: AsyncSession,
    workspace_id: UUID,
    file: ReadFile,
    *,
    file_name: str,
    list_name: str | None,
    policy: DuplicatePolicy,
) -> LeadImport:
    """Store a file's rows and the mapping together."""
    file_name = PurePath(file_name.replace("\x00", "").replace("\\", "/")).name or "upload"
    await allow_long_statements(session)
    name = list_name or PurePath(file_name).stem[:MAX_NAME_CHARACTERS] or "Import"
    made = await lists.create_list(session, workspace_id, name, source_filename=file_name)
    new = await repository.add_import(
        session,
        workspace_id,
        list_id=made.id,
        file_name=file_name,
        state=ImportState.MAPPED,
        headers=file.layout.headers,
        mapping=[one.model_dump(mode="json") for one in file.columns],
        duplicate_policy=policy,
    )
    row_count = await repository.land_rows(session, workspace_id, new.id, _blocks(file.text, file.layout))
    stored = await repository.move_import(session, workspace_id, new.id, [ImportState.MAPPED], {"row_count": row_count})
    assert stored is not None
    return stored


async def _blocks(text: IO[str], layout: Layout) -> AsyncIterator[bytes]:
    """Yield a file's blocks, each parsed in a thread while the one before is on its way."""
    parsed = blocks(text, layout)
    while (block := await asyncio.to_thread(next, parsed, None)) is not None:
        yield block


async def get_import(session: AsyncSession, workspace_id: UUID, import_id: UUID) -> LeadImport:
    """Return an import; raises NotFound."""
    found = await repository.find_import(session, workspace_id, import_id)
    if found is None:
        raise NotFound("There is no such import.")
    return found


async def list_imports(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[LeadImport]:
    """Return the workspace's imports, newest first, one more than the page holds."""
    return await repository.list_imports(session, workspace_id, page)


async def change_mapping(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, columns: Sequence[dict[str, Any]]
) -> LeadImport:
    """Settle what the columns are; `columns` are (position, target, custom_name) each.

    Raises NotFound, Malformed when they are not the file's columns or claim a field twice, and Conflict once the
    import is on its way.
    """
    found = await get_import(session, workspace_id, import_id)
    given = {one["position"]: one for one in columns}
    if sorted(given) != list(range(len(found.headers))) or len(columns) != len(given):
        raise _misfit(f"The mapping must name each of the file's {len(found.headers)} columns once, counted from 0.")
    mapping = [_settled(ColumnMapping.model_validate(now), given[now["position"]]) for now in found.mapping]
    _check_mapping(mapping)
    values = {"mapping": [one.model_dump(mode="json") for one in mapping], "state": ImportState.MAPPED, "error": None}
    changed = await repository.move_import(
        session, workspace_id, import_id, [ImportState.MAPPED, ImportState.FAILED], values
    )
    if changed is None:
        raise Conflict(f"The mapping cannot be changed any more: the import is {found.state}.")
    return changed


def _settled(now: ColumnMapping, given: dict[str, Any]) -> ColumnMapping:
    custom = (given["custom_name"] or now.custom_name or now.header) if given["target"] is Target.CUSTOM else None
    if (given["target"], custom) == (now.target, now.custom_name):
        return now
    return now.model_copy(
        update={"target": given["target"], "custom_name": custom, "confidence": 1.0, "decided_by": "person"}
    )


def _check_mapping(mapping: Sequence[ColumnMapping]) -> None:
    targets = [one.target for one in mapping if one.target not in REPEATABLE]
    if Target.EMAIL not in targets:
        raise _misfit("One column must be the email address.")
    for target in targets:
        if targets.count(target) > 1:
            raise _misfit(f"Only one column can be {target}.")
    names = [one.custom_name.casefold() for one in mapping if one.custom_name]
    for name in names:
        if names.count(name) > 1:
            raise _misfit(f"Two columns cannot be the same custom field '{name}'.")


def _misfit(sentence: str) -> Malformed:
    return Malformed(sentence, errors=[{"location": ["body", "columns"], "message": sentence}])


async def preview(
    session: AsyncSession, workspace_id: UUID, import_id: UUID
) -> tuple[LeadImport, dict[RowOutcome, int]]:
    """Return an import and how many of its rows would come to what if it were committed now; writes nothing."""
    found = await get_import(session, workspace_id, import_id)
    return found, await repository.count_outcomes(session, await _plan(session, found))


async def start_commit(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> LeadImport:
    """Have an import committed by a job; raises NotFound, and Conflict when it was already."""
    states = [ImportState.MAPPED, ImportState.FAILED]
    values = {"state": ImportState.COMMITTING, "error": None}
    started = await repository.move_import(session, workspace_id, import_id, states, values)
    if started is None:
        found = await get_import(session, workspace_id, import_id)
        raise Conflict(f"The import is {found.state} already.")
    await jobs.enqueue(session, COMMIT_IMPORT, workspace_id, [jobs.Job(now, {"importId": str(import_id)})])
    return started


async def commit(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> None:
    """Write an import's rows to leads and count what came of them; done before or never asked for: does nothing.

    All of it is one transaction, so a run that is cut short leaves no trace and the next does it all.
    """
    found = await repository.find_import(session, workspace_id, import_id, hold=True)
    if found is None or found.state != ImportState.COMMITTING:
        return
    await allow_long_statements(session)
    # A list that was deleted meanwhile is joined by nobody.
    kept = await lists.keep(session, workspace_id, [found.list_id] if found.list_id else [])
    plan = replace(await _plan(session, found), list_id=next(iter(kept), None))
    settled = await repository.commit_rows(session, plan)
    counts = {row.outcome: row.rows for row in settled}
    values: dict[str, Any] = {f"{outcome}_count": counts.get(outcome, 0) for outcome in RowOutcome}
    values |= {"state": ImportState.COMMITTED, "committed_at": now}
    await repository.move_import(session, workspace_id, import_id, [ImportState.COMMITTING], values)
    if plan.list_id is not None:
        await lists.change_counts(session, workspace_id, {plan.list_id: sum(row.joined for row in settled)})


async def fail(session: AsyncSession, workspace_id: UUID, import_id: UUID, error: str) -> None:
    """Note that an import cannot be committed as it is, and why."""
    values = {"state": ImportState.FAILED, "error": error}
    await repository.move_import(session, workspace_id, import_id, [ImportState.COMMITTING], values)


async def write_errors(session: AsyncSession, workspace_id: UUID, import_id: UUID) -> IO[bytes]:
    """Return the rows that cannot be used as a CSV file, at its start: line, reason, and the cells as they were."""
    found = await get_import(session, workspace_id, import_id)
    plan = await _plan(session, found)
    target = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - whoever sends it closes it
    lines = io.TextIOWrapper(target, encoding="utf-8-sig", newline="")
    writer = csv.writer(lines)
    writer.writerow(["Line", "Reason", *found.headers])
    is_committed = found.state == ImportState.COMMITTED
    async for line_number, reason, cells in await repository.stream_invalid(session, plan, is_committed=is_committed):
        writer.writerow([line_number, reason, *cells])
    lines.detach()
    target.seek(0)
    return target


async def _plan(session: AsyncSession, found: LeadImport) -> Plan:
    """Return how an import's rows become leads, its doubtful addresses checked."""
    mapping = [ColumnMapping.model_validate(one) for one in found.mapping]
    plan = Plan(
        workspace_id=found.workspace_id,
        import_id=found.id,
        list_id=found.list_id,
        policy=DuplicatePolicy(found.duplicate_policy),
        fields={FIELDS[one.target]: one.position for one in mapping if one.target in FIELDS},
        custom=[(one.custom_name or one.header, one.position) for one in mapping if one.target is Target.CUSTOM],
        leftovers={FIELDS[one.target]: one.header for one in mapping if one.target in FIELDS},
        zones=_zones(),
    )
    cells = await repository.cells_to_check(session, plan)
    return replace(plan, checked=await asyncio.to_thread(check_addresses, cells))


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))
