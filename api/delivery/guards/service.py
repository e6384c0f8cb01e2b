"""Pauses sequences whose mails bounce or draw complaints more often than their workspace allows."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.delivery.guards import repository
from api.outreach.sequences import service as sequences
from domain.guard import Limits, find_pause_reason


async def pause_unhealthy_sequences(session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID]) -> None:
    """Pause those of these sequences whose bounce or complaint rate exceeds a limit of the workspace.

    Call it last in a transaction: sequences are locked after leads and enrollments (database/locks.py).
    """
    workspace = await workspaces.find_workspace(session, workspace_id)
    limits = Limits(workspace.guard_sample, workspace.max_bounce_rate, workspace.max_complaint_rate)
    unhealthy = await _find_pause_reasons(session, workspace_id, sequence_ids, limits)
    if not unhealthy:
        return
    # Count again under the lock: a user may have activated one of the sequences since.
    await repository.lock_sequences(session, workspace_id, unhealthy)
    for sequence_id, reason in (await _find_pause_reasons(session, workspace_id, unhealthy, limits)).items():
        await sequences.pause_automatically(session, workspace_id, sequence_id, reason)


async def _find_pause_reasons(
    session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID], limits: Limits
) -> dict[UUID, str]:
    """Return the sequences that must pause, each with the reason."""
    health = await repository.get_health(session, workspace_id, sequence_ids, limits.sample) if sequence_ids else {}
    reasons = {sequence_id: find_pause_reason(counts, limits) for sequence_id, counts in health.items()}
    return {sequence_id: reason for sequence_id, reason in reasons.items() if reason is not None}
