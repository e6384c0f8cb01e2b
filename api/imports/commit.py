"""Commits of imports: the rows of a file become leads, block by block, each block in its own transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.imports import service
from api.imports.packing import LINE, unpack_rows
from api.imports.repository import commit as repository
from api.imports.repository import outcomes, uploads
from api.imports.repository.outcomes import Outcome, Plan
from api.imports.repository.uploads import Span
from api.imports.values import FileColumns, lead_values
from api.people.lead_lists import service as lists
from api.people.suppressions import service as suppressions
from database import jobs
from database.landing import allow_long_statements
from database.models import DuplicatePolicy, LeadImport, Workspace
from domain.job_types import COMMIT_IMPORT
from domain.lead_import import RETENTION, ImportEvent, ImportState, next_state
from domain.opt_outs import PRECEDENCE

MAX_ATTEMPTS = 20
"""A commit continues where it stopped, so a retry repeats nothing."""


def plan_of(record: LeadImport, workspace: Workspace) -> Plan:
    """Return how the rows of an import become leads."""
    return Plan(
        workspace_id=record.workspace_id,
        import_id=record.id,
        list_id=record.list_id,
        first_lead_id=record.first_lead_id,
        policy=DuplicatePolicy(record.duplicate_policy),
        default_segment=workspace.default_segment,
    )


def values_of(content: bytes, columns: FileColumns, lines: Sequence[int] | None = None) -> bytes:
    """Return the values of a block's rows, or of some of them, as CSV."""
    rows = unpack_rows(content)
    if lines is not None:
        rows = rows.filter(pl.col(LINE).is_in(list(lines)))
    return lead_values(rows, columns).write_csv(include_header=False).encode()


async def start_commit(session: AsyncSession, workspace: Workspace, import_id: UUID, now: datetime) -> LeadImport:
    """Start the job that commits an import, from the start or from where it failed.

    Raises NotFound, InvalidTransition if it is committed or a job works on it, and Conflict if its file is deleted.
    """
    record = await service.lock_import(session, workspace.id, import_id)
    values: dict[str, Any] = {"state": next_state(ImportState(record.state), ImportEvent.COMMIT_STARTED), "error": None}
    await service.require_stored_file(session, record, now)
    if record.state != ImportState.FAILED:
        await repository.delete_changes(session, plan_of(record, workspace))
        values |= {f"{outcome}_count": 0 for outcome in Outcome}
        values |= dict.fromkeys(("removed_count", "restored_count", "kept_count", "undone_at"))
        values |= {"processed_count": 0, "next_block": 0, "first_lead_id": await repository.new_lead_ids(session)}
    locked = await lists.lock_shared(session, workspace.id, [record.list_id] if record.list_id else [])
    if record.list_id not in locked:
        created = await lists.create_list(session, workspace.id, record.list_name, source_filename=record.file_name)
        values["list_id"] = created.id
    started = await uploads.change_import(session, workspace.id, import_id, values)
    job = jobs.Job(now, {"importId": str(import_id)})
    await jobs.enqueue(session, COMMIT_IMPORT, workspace.id, [job], max_attempts=MAX_ATTEMPTS)
    return started


async def commit_block(session: AsyncSession, workspace_id: UUID, import_id: UUID, now: datetime) -> bool:
    """Write the next block of an import to leads, or end the commit after the last; returns whether more is to do.

    The import is locked and its progress is written in the same transaction, so the next call continues after this
    block, even after a crash. Does nothing for an import that is not being committed.
    """
    workspace = await workspaces.find_workspace(session, workspace_id)
    record = await uploads.find_import(session, workspace_id, import_id, lock=True)
    if record is None or record.state != ImportState.COMMITTING:
        return False
    block = await uploads.find_block(session, workspace_id, import_id, record.next_block)
    if block is None:
        done = next_state(ImportState.COMMITTING, ImportEvent.COMMIT_DONE)
        values = {"state": done, "committed_at": now, "expires_at": now + RETENTION}
        await uploads.change_import(session, workspace_id, import_id, values)
        return False
    await allow_long_statements(session)
    if record.next_block.bit_count() <= 1:  # 0, 1, 2, 4, 8: each time there may be twice as many leads
        await repository.analyze_leads(session)
    # The list may have been deleted since the commit began.
    locked = await lists.lock_shared(session, workspace_id, [record.list_id] if record.list_id else [])
    plan = replace(plan_of(record, workspace), list_id=next(iter(locked), None))
    rows = await asyncio.to_thread(values_of, block.content, service.columns_of(record, workspace))
    await outcomes.create_values_table(session)
    await outcomes.copy_values(session, rows)
    written = await repository.write_block(session, plan, block.span.lines)
    await _suppress_opt_outs(session, record, block.span, now)
    if plan.list_id is not None:
        await lists.change_counts(session, workspace_id, {plan.list_id: written.joined})
    counts = {name: f"{name}_count" for name in written.counts}
    progress = {column: getattr(record, column) + written.counts[name] for name, column in counts.items()}
    progress |= {"processed_count": record.processed_count + block.span.row_count, "next_block": record.next_block + 1}
    await uploads.change_import(session, workspace_id, import_id, progress)
    return True


async def _suppress_opt_outs(session: AsyncSession, record: LeadImport, span: Span, now: datetime) -> None:
    """Suppress the addresses of a block that the file says not to mail."""
    opt_outs = await uploads.find_opt_outs(session, record.workspace_id, record.id, span.lines)
    for reason in PRECEDENCE:
        if addresses := opt_outs.get(reason):
            await suppressions.suppress_addresses(
                session,
                record.workspace_id,
                addresses,
                reason=reason,
                source=suppressions.source_of(record.file_name),
                at=now,
            )


async def fail_import(session: AsyncSession, workspace_id: UUID, import_id: UUID, error: str) -> None:
    """Mark an import as failed, with the reason."""
    state = next_state(ImportState.COMMITTING, ImportEvent.COMMIT_FAILED)
    values = {"state": state, "error": error}
    await uploads.apply_event(session, workspace_id, import_id, ImportEvent.COMMIT_FAILED, values)
