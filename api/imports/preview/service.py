"""Judging a file's rows without writing any: counts, and the first rows of each outcome with what would change."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports import repository as files
from api.imports import service as imports
from api.imports.commit import repository as writing
from api.imports.commit.repository import Outcome, Plan
from api.imports.commit.service import plan_of, values_of
from api.imports.packing import LINE, cells_of, unpack_rows
from api.imports.preview import repository
from api.imports.values import FIELDS, FileColumns, lead_values
from database.landing import allow_long_statements
from database.models import DuplicatePolicy, Workspace

SAMPLES = 10


@dataclass(slots=True)
class Sample:
    """One row as it would be dealt with; `before` and `after` are the lead's fields, of a lead that would change."""

    line_number: int
    cells: list[str]
    email: str | None
    problem: str | None
    first_line: int | None
    lead_id: UUID | None
    values: dict[str, Any] | None = None
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a commit would do now: how many rows come to what, and the first of each."""

    row_count: int
    counts: dict[Outcome, int]
    samples: dict[Outcome, list[Sample]]


async def preview_import(session: AsyncSession, workspace: Workspace, import_id: UUID, now: datetime) -> Preview:
    """Say what a commit would do now; writes nothing. Raises NotFound, and Conflict when the file is gone."""
    found = await imports.get_import(session, workspace.id, import_id)
    await imports.require_stored_file(session, found, now)
    await allow_long_statements(session)
    # The commit makes the list that leads without one join; until then the import's own id stands for it.
    plan = replace(plan_of(found, workspace), list_id=found.list_id or found.id)
    columns = imports.columns_of(found, workspace)
    await repository.judge_rows(session, plan)
    await writing.open_values(session)
    if plan.policy is not DuplicatePolicy.SKIP:
        await _compare(session, plan, columns)
    counts = dict.fromkeys(Outcome, 0) | await repository.count_judged(session)
    counts[Outcome.NEW] = found.row_count - sum(counts.values())
    wanted = {
        outcome: await repository.first_lines(session, plan, outcome, SAMPLES)
        for outcome in Outcome
        if counts[outcome] > 0
    }
    samples = await _samples(session, plan, columns, wanted)
    for sample in samples.get(Outcome.UPDATED, []):
        before, after = sample.before.pop("list_id"), sample.after.pop("list_id")
        if before != after:
            sample.after["list"] = found.list_name
    return Preview(found.row_count, counts, samples)


async def _compare(session: AsyncSession, plan: Plan, columns: FileColumns) -> None:
    """Find out which of the rows of known addresses would change their lead."""
    for number, span in enumerate(await files.list_blocks(session, plan.workspace_id, plan.import_id)):
        known = await repository.list_known_lines(session, span.lines)
        if known:
            block = await files.find_block(session, plan.workspace_id, plan.import_id, number)
            assert block is not None
            await writing.land_values(session, await asyncio.to_thread(values_of, block.content, columns, known))
            await repository.compare(session, plan, span.lines)


async def _samples(
    session: AsyncSession, plan: Plan, columns: FileColumns, wanted: dict[Outcome, Sequence[int]]
) -> dict[Outcome, list[Sample]]:
    """Return the rows on some lines, by what would become of them."""
    lines = sorted(line for of_one in wanted.values() for line in of_one)
    rows = await _rows_on(session, plan, lines)
    values = lead_values(rows, columns)
    cells = dict(cells_of(rows).iter_rows())
    samples = {
        row.line_number: Sample(
            row.line_number, cells[row.line_number], row.email, row.problem, row.first_line, row.lead_id
        )
        for row in await repository.find_rows(session, plan, lines)
    }
    for one in values.iter_rows(named=True):
        custom = {name: cell for name, cell in json.loads(one["custom_fields"]).items() if cell is not None}
        if samples[one[LINE]].email is not None:
            samples[one[LINE]].values = {**{name: one[name] for name in FIELDS}, "custom_fields": custom}
    if updated := wanted.get(Outcome.UPDATED):
        some = values.filter(pl.col(LINE).is_in(list(updated)))
        await writing.land_values(session, some.write_csv(include_header=False).encode())
        for line, (before, after) in (await repository.find_differences(session, plan)).items():
            samples[line].before, samples[line].after = before, after
    return {outcome: [samples[line] for line in of_one] for outcome, of_one in wanted.items()}


async def _rows_on(session: AsyncSession, plan: Plan, lines: Sequence[int]) -> pl.DataFrame:
    """Return the rows that begin on some lines, as they were read."""
    found = []
    for number, span in enumerate(await files.list_blocks(session, plan.workspace_id, plan.import_id)):
        here = [line for line in lines if span.lines[0] <= line <= span.lines[1]]
        if here or number == 0:  # the first also for its columns, where no line is wanted
            block = await files.find_block(session, plan.workspace_id, plan.import_id, number)
            assert block is not None
            found.append(unpack_rows(block.content).filter(pl.col(LINE).is_in(here)))
    return pl.concat(found)
