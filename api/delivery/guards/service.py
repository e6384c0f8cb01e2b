"""Which sequences have to pause for what their mails have met with."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.delivery.guards import repository
from api.outreach.sequences import service as sequences
from domain.guard import Limits, verdict


async def check(session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID]) -> None:
    """Pause those of these sequences that bounce, or are complained about, more than their workspace puts up with.

    To be asked last in a transaction: sequences are locked after leads and enrollments.
    """
    workspace = await workspaces.find_workspace(session, workspace_id)
    limits = Limits(workspace.guard_sample, workspace.max_bounce_rate, workspace.max_complaint_rate)
    alarming = await _reasons(session, workspace_id, sequence_ids, limits)
    if not alarming:
        return
    # Only now are they held, and counted again: somebody may have activated one of them meanwhile.
    await repository.hold(session, workspace_id, alarming)
    for sequence_id, reason in (await _reasons(session, workspace_id, alarming, limits)).items():
        await sequences.pause_for(session, workspace_id, sequence_id, reason)


async def _reasons(
    session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID], limits: Limits
) -> dict[UUID, str]:
    """Return of those that have to pause why."""
    health = await repository.health_of(session, workspace_id, sequence_ids, limits.sample) if sequence_ids else {}
    return {one: reason for one, found in health.items() if (reason := verdict(found, limits)) is not None}
