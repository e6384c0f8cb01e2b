"""Tells which claims are still held by the run of the job that made them."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.claims import repository
from api.delivery.claims.repository import ClaimRun

__all__ = ["CLAIM_TAKEN_OVER", "ClaimRun", "list_held_drafts"]

CLAIM_TAKEN_OVER = "the job that claimed the mail was taken over by another run"


async def list_held_drafts(session: AsyncSession, workspace_id: UUID, runs: Sequence[ClaimRun]) -> Collection[UUID]:
    """Return the drafts whose claim is still open, and whose run still has its job."""
    return await repository.list_held_drafts(session, workspace_id, runs)
