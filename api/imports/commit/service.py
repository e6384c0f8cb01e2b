"""Writing a file's rows to leads: block by block, each in a transaction of its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.imports import repository as files
from api.imports import service as imports
from api.imports.commit import repository
from api.imports.commit.repository import Outcome, Plan
from api.imports.packing import LINE, unpack_rows
from api.imports.values import FileColumns, lead_values
from api.people.lead_lists import service as lists
from database import jobs
from database.landing import allow_long_statements
from database.models import DuplicatePolicy, LeadImport, Workspace
from domain.lead_import import RETENTION, ImportEvent, ImportState, next_state

COMMIT_IMPORT = "commit_import"
MAX_ATTEMPTS = 20
"""A commit goes on where it stopped: trying again costs nothing that was done."""


def plan_of(found: LeadImport, workspace: Workspace) -> Plan:
    """Return how the rows of an import become leads."""
    return Plan(
        workspace_id=found.workspace_id,
        import_id=found.id,
        list_id=found.list_id,
        first_lead_id=found.first_lead_id,
        policy=DuplicatePolicy(found.duplicate_policy),
        default_segment=workspace.default_segment,
    )


def values_of(content: bytes, columns: FileColumns, lines: Sequence[int] | None = None) -> bytes:
    """Return the values of a block's rows, or of some of them, as CSV."""
    rows = unpack_rows(content)
    if lines is not None:
        rows = rows.filter(pl.col(LINE).is_in(list(lines)))
    return lead_values(rows, columns).write_csv(include_header=False).encode()


async def start_commit(session: AsyncSession, workspace: Workspace, import_id: UUID, now: datetime) -> LeadImport:
    """Have an import committed by a job, from the start or from where it failed.

    Raises NotFound, InvalidTransition when it is committed or on its way, and Conflict when its file is gone.
    """
    found = await imports.lock_import(session, workspace.id, import_id)
    values: dict[str, Any] = {"state": next_state(ImportState(found.state), ImportEvent.COMMIT_STARTED), "error": None}
    await imports.require_stored_file(session, found, now)
    if found.state != ImportState.FAILED:
        await repository.delete_changes(session, plan_of(found, workspace))
        values |= {f"{outcome}_count": 0 for outcome in Outcome}
        values |= dict.fromkeys(("removed_count", "restored_count", "kept_count", "undone_at"))
        values |= {"processed_count": 0, "next_block": 0, "first_lead_id": await repository.new_lead_ids(session)}
    kept = await lists.lock_shared(session, workspace.id, [found.list_id] if found.list_id else [])
    if found.list_id not in kept:
        made = await lists.create_list(session, workspace.id, found.list_name, source_filename=found.file_name)
        values["list_id"] = made.id
    started = await files.change_import(session, workspace.id, import_id, values)
    job = jobs.Job(now, {"importId": str(import_id)})
    await jobs.enqueue(session, COMMIT_IMPORT, workspace.id, [job], max_attempts=MAX_ATTEMPTS)
    return started


async def commit_block(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> bool:
    """Write the next block of an import to leads, or note that none is left; returns whether there is more to do.

    The import is held, and what was done is written with it: whoever comes after this, after a crash too, goes on
    behind it. Does nothing for an import that is not being committed.
    """
    workspace = await workspaces.find_workspace(session, workspace_id)
    found = await files.find_import(session, workspace_id, import_id, hold=True)
    if found is None or found.state != ImportState.COMMITTING:
        return False
    block = await files.find_block(session, workspace_id, import_id, found.next_block)
    if block is None:
        done = next_state(ImportState.COMMITTING, ImportEvent.COMMIT_DONE)
        values = {"state": done, "committed_at": now, "expires_at": now + RETENTION}
        await files.change_import(session, workspace_id, import_id, values)
        return False
    await allow_long_statements(session)
    if found.next_block.bit_count() <= 1:  # 0, 1, 2, 4, 8: each time there may be twice as many
        await repository.refresh_figures(session)
    # A list that was deleted meanwhile is joined by nobody.
    kept = await lists.lock_shared(session, workspace_id, [found.list_id] if found.list_id else [])
    plan = replace(plan_of(found, workspace), list_id=next(iter(kept), None))
    rows = await asyncio.to_thread(values_of, block.content, imports.columns_of(found, workspace))
    await repository.open_values(session)
    await repository.land_values(session, rows)
    written = await repository.write_block(session, plan, block.span.lines)
    if plan.list_id is not None:
        await lists.change_counts(session, workspace_id, {plan.list_id: written.joined})
    progress = {
        f"{outcome}_count": getattr(found, f"{outcome}_count") + rows for outcome, rows in written.counts.items()
    }
    progress |= {"processed_count": found.processed_count + block.span.row_count, "next_block": found.next_block + 1}
    await files.change_import(session, workspace_id, import_id, progress)
    return True


async def fail_import(session: AsyncSession, workspace_id: UUID, import_id: UUID, error: str) -> None:
    """Note that an import cannot be committed any further, and why."""
    state = next_state(ImportState.COMMITTING, ImportEvent.COMMIT_FAILED)
    values = {"state": state, "error": error}
    await files.apply_event(session, workspace_id, import_id, ImportEvent.COMMIT_FAILED, values)
