"""Previews of imports: how many rows have each outcome, and the first rows of each with what they would change."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports import service
from api.imports.commit import plan_of, values_of
from api.imports.packing import LINE, cells_of, unpack_rows
from api.imports.repository import outcomes, uploads
from api.imports.repository import preview as repository
from api.imports.repository.outcomes import Outcome, Plan
from api.imports.values import FileColumns, lead_values
from database.landing import allow_long_statements
from database.models import DuplicatePolicy, Workspace
from domain.lead_import import LEAD_FIELDS
from domain.suppression import SuppressionReason

SAMPLES = 10


@dataclass(slots=True)
class Sample:
    """One row and its outcome; `before` and `after` hold the fields of the lead that it would change."""

    line_number: int
    cells: list[str]
    email: str | None
    problem: str | None
    first_line: int | None
    opt_out: SuppressionReason | None
    has_unknown_timezone: bool
    lead_id: UUID | None
    values: dict[str, Any] | None = None
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreviewResult:
    """What a commit would do now: the number of rows of each outcome, and the first rows of each."""

    row_count: int
    counts: dict[Outcome, int]
    opt_outs: dict[SuppressionReason, int]
    unknown_timezones: int
    samples: dict[Outcome, list[Sample]]


async def preview_import(session: AsyncSession, workspace: Workspace, import_id: UUID, now: datetime) -> PreviewResult:
    """Return what a commit would do now; writes nothing. Raises NotFound, and Conflict if the file is deleted."""
    record = await service.get_import(session, workspace.id, import_id)
    await service.require_stored_file(session, record, now)
    await allow_long_statements(session)
    # The commit creates the list; until then the import's id stands for the id of the list.
    plan = replace(plan_of(record, workspace), list_id=record.list_id or record.id)
    columns = service.columns_of(record, workspace)
    await repository.store_outcomes(session, plan)
    await outcomes.create_values_table(session)
    if plan.policy is not DuplicatePolicy.SKIP:
        await _compare(session, plan, columns)
    counts = dict.fromkeys(Outcome, 0) | await repository.count_outcomes(session)
    counts[Outcome.NEW] = record.row_count - sum(counts.values())
    sample_lines = {
        outcome: await repository.list_first_lines(session, plan, outcome, SAMPLES)
        for outcome in Outcome
        if counts[outcome] > 0
    }
    samples = await _samples(session, plan, columns, sample_lines)
    for sample in samples.get(Outcome.UPDATED, []):
        before, after = sample.before.pop("list_id"), sample.after.pop("list_id")
        if before != after:
            sample.after["list"] = record.list_name
    opt_outs = await repository.count_opt_outs(session, plan)
    return PreviewResult(record.row_count, counts, opt_outs, record.unknown_timezone_count, samples)


async def _compare(session: AsyncSession, plan: Plan, columns: FileColumns) -> None:
    """Compare the rows whose addresses leads have with those leads."""
    for number, span in enumerate(await uploads.list_blocks(session, plan.workspace_id, plan.import_id)):
        known = await repository.list_known_lines(session, span.lines)
        if known:
            block = await uploads.find_block(session, plan.workspace_id, plan.import_id, number)
            assert block is not None
            await outcomes.copy_values(session, await asyncio.to_thread(values_of, block.content, columns, known))
            await repository.compare_block(session, plan, span.lines)


async def _samples(
    session: AsyncSession, plan: Plan, columns: FileColumns, sample_lines: dict[Outcome, Sequence[int]]
) -> dict[Outcome, list[Sample]]:
    """Return the rows on some lines, by their outcome."""
    lines = sorted(itertools.chain.from_iterable(sample_lines.values()))
    rows = await _rows_on(session, plan, lines)
    values = lead_values(rows, columns)
    cells = dict(cells_of(rows).iter_rows())
    samples = {
        row.line_number: Sample(
            row.line_number,
            cells[row.line_number],
            row.email,
            row.problem,
            row.first_line,
            SuppressionReason(row.opt_out) if row.opt_out else None,
            row.has_unknown_timezone,
            row.lead_id,
        )
        for row in await repository.find_rows(session, plan, lines)
    }
    for row in values.iter_rows(named=True):
        custom = {name: cell for name, cell in json.loads(row["custom_fields"]).items() if cell is not None}
        if samples[row[LINE]].email is not None:
            samples[row[LINE]].values = {**{name: row[name] for name in LEAD_FIELDS}, "custom_fields": custom}
    if updated := sample_lines.get(Outcome.UPDATED):
        changing = values.filter(pl.col(LINE).is_in(list(updated)))
        await outcomes.copy_values(session, changing.write_csv(include_header=False).encode())
        for line, (before, after) in (await repository.find_differences(session, plan)).items():
            samples[line].before, samples[line].after = before, after
    return {outcome: [samples[line] for line in found] for outcome, found in sample_lines.items()}


async def _rows_on(session: AsyncSession, plan: Plan, lines: Sequence[int]) -> pl.DataFrame:
    """Return the rows that begin on some lines, as the file has them."""
    frames = []
    for number, span in enumerate(await uploads.list_blocks(session, plan.workspace_id, plan.import_id)):
        in_block = [line for line in lines if span.lines[0] <= line <= span.lines[1]]
        if in_block or number == 0:  # always the first, for its columns: there may be no lines
            block = await uploads.find_block(session, plan.workspace_id, plan.import_id, number)
            assert block is not None
            frames.append(unpack_rows(block.content).filter(pl.col(LINE).is_in(in_block)))
    return pl.concat(frames)
