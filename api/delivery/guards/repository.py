"""The SQL of guards: how a sequence's last mails fared."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.guard import Health

# A bounce is what the figures call one: it does not say soft, or nothing was heard of the mail after it.
_HEALTH = text(
    """
    SELECT sequence.id, count(mail.id) AS sent,
           count(*) FILTER (WHERE heard.has_bounced) AS bounced, count(*) FILTER (WHERE heard.complained) AS complained
      FROM app.sequences AS sequence
     CROSS JOIN LATERAL (
       SELECT draft.id FROM app.email_drafts AS draft
        WHERE draft.sequence_id = sequence.id AND draft.sent_at IS NOT NULL
          AND draft.sent_at > coalesce(sequence.activated_at, '-infinity')
        ORDER BY draft.sent_at DESC
        LIMIT :sample) AS mail
      LEFT JOIN LATERAL (
       SELECT bool_or(event.type = 'complained') AS complained,
              bool_or(event.type = 'bounced' AND event.data ->> 'bounce_type' IS DISTINCT FROM 'soft')
              OR max(event.occurred_at) FILTER (WHERE event.type = 'bounced') >= coalesce(
                   max(event.occurred_at) FILTER (
                     WHERE event.type IN ('delivered', 'opened', 'clicked', 'unsubscribed')),
                   '-infinity') AS has_bounced
         FROM app.email_events AS event
        WHERE event.draft_id = mail.id) AS heard ON true
     WHERE sequence.workspace_id = :workspace_id AND sequence.id = ANY(CAST(:sequence_ids AS uuid[]))
       AND sequence.status = 'Active' AND sequence.deleted_at IS NULL
     GROUP BY sequence.id
    """
)

_HOLD = text(
    """
    SELECT id FROM app.sequences
     WHERE workspace_id = :workspace_id AND id = ANY(CAST(:sequence_ids AS uuid[]))
     ORDER BY id
       FOR NO KEY UPDATE
    """
)


async def health_of(
    session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID], sample: int
) -> dict[UUID, Health]:
    """Return how the last mails, at most `sample`, of those of these sequences fared that are active.

    What was sent before a sequence was last activated does not count: whoever activated it knew of that.
    """
    parameters = {"workspace_id": workspace_id, "sequence_ids": list(sequence_ids), "sample": sample}
    rows = await session.execute(_HEALTH, parameters)
    return {row.id: Health(row.sent, row.bounced, row.complained) for row in rows}


async def hold(session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID]) -> None:
    """Keep others from moving these sequences until the transaction ends."""
    await session.execute(_HOLD, {"workspace_id": workspace_id, "sequence_ids": list(sequence_ids)})
