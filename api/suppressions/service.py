"""Who must never be mailed: adding to it, asking it, and taking back what was added by mistake."""

import logging
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.errors import NotFound
from api.pagination import PageRequest
from api.suppressions import repository
from database.models import Suppression
from domain.suppression import SuppressionReason, normalise_address

log = logging.getLogger(__name__)


async def suppress_addresses(
    session: AsyncSession,
    workspace_id: UUID,
    addresses: Sequence[str],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    """Suppress addresses; returns how many were not before. What the person said outranks an earlier other reason."""
    values = [normalise_address(address) for address in addresses]
    return await repository.add_values(session, workspace_id, values, kind="email", reason=reason, source=source, at=at)


async def suppress_leads(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    *,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> int:
    """Suppress the addresses of leads, deleted ones too; returns how many were not suppressed before."""
    return await repository.add_leads(session, workspace_id, lead_ids, reason=reason, source=source, at=at)


async def suppress_domains(
    session: AsyncSession, workspace_id: UUID, domains: Sequence[str], *, source: str, at: datetime
) -> int:
    """Suppress every address of some domains; returns how many were not suppressed before."""
    values = [domain_value(domain) for domain in domains]
    reason = SuppressionReason.DOMAIN
    return await repository.add_values(
        session, workspace_id, values, kind="domain", reason=reason, source=source, at=at
    )


async def is_suppressed(session: AsyncSession, workspace_id: UUID, address: str) -> bool:
    """Say whether an address must not be mailed, itself or by its domain."""
    return await repository.is_suppressed(session, workspace_id, normalise_address(address))


async def add(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    email: str | None,
    domain: str | None,
    reason: SuppressionReason,
    source: str,
    at: datetime,
) -> tuple[Suppression, bool]:
    """Suppress an address or a domain; returns what stands now, and whether it is new."""
    if email is not None:
        new = await suppress_addresses(session, workspace_id, [email], reason=reason, source=source, at=at)
        value = normalise_address(email)
    else:
        assert domain is not None
        new = await suppress_domains(session, workspace_id, [domain], source=source, at=at)
        value = domain_value(domain)
    stands = await repository.find_by_value(session, workspace_id, value)
    assert stands is not None
    return stands, new > 0


async def list_suppressions(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, *, reason: SuppressionReason | None, value: str | None
) -> Sequence[Suppression]:
    """Return the workspace's suppressions, newest first, one more than the page holds.

    `value` finds one address or one `@domain`, also where only its hash is kept.
    """
    wanted = normalise_address(value) if value is not None else None
    return await repository.list_suppressions(session, workspace_id, page, reason=reason, value=wanted)


async def remove(session: AsyncSession, workspace_id: UUID, suppression_id: UUID, *, reason: str, actor: UUID) -> None:
    """Let an address or a domain be mailed again; raises NotFound. A lead that said no stays unsubscribed."""
    removed = await repository.remove(session, workspace_id, suppression_id)
    if removed is None:
        raise NotFound("There is no such suppression.")
    log.warning(
        "A suppression was removed.",
        extra={
            "fields": {
                "workspace_id": str(workspace_id),
                "suppression_hash": removed.value_hash,
                "was": removed.reason,
                "removed_because": reason,
                "removed_by": str(actor),
            }
        },
    )


def domain_value(domain: str) -> str:
    """Return how a domain is written among suppressions: `@example.com`."""
    return f"@{domain.strip().lower().removeprefix('@')}"
