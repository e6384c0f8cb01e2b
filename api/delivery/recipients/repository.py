"""The SQL of recipients."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Text, any_, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from database.conditions import id_in
from database.models import EmailDraft, Lead, SendAttempt, Workspace


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who a mail was sent to: the canonical address that was mailed, or only its hash after erasure."""

    draft_id: UUID
    lead_id: UUID
    address: str | None
    address_hash: str | None
    sender: str
    """The name that the workspace sends with."""


async def find_recipients(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]) -> list[Recipient]:
    """Return the recipients of mails; before a mail is sent, its recipient has the lead's address of now."""
    # An attempt that was found out later, or made before recipients were stored, has neither address nor hash.
    current = func.nullif(Lead.email, "")
    statement = (
        select(
            EmailDraft.id,
            EmailDraft.lead_id,
            func.coalesce(SendAttempt.recipient, current).label("address"),
            SendAttempt.recipient_hash,
            Workspace.default_from_name,
        )
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .join(Workspace, Workspace.id == EmailDraft.workspace_id)
        .outerjoin(SendAttempt, SendAttempt.draft_id == EmailDraft.id)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == id_in(draft_ids))
        .order_by(EmailDraft.id)
    )
    return [
        Recipient(draft_id, lead_id, None if address_hash else address, address_hash, sender)
        for draft_id, lead_id, address, address_hash, sender in await session.execute(statement)
    ]


async def list_mailed(session: AsyncSession, workspace_id: UUID, addresses: Sequence[str]) -> set[str]:
    """Return those of the addresses that a mail was sent to."""
    statement = select(SendAttempt.recipient).where(
        SendAttempt.workspace_id == workspace_id, SendAttempt.recipient == any_(cast(list(addresses), ARRAY(Text)))
    )
    return set(filter(None, await session.scalars(statement)))
