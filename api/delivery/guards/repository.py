"""The SQL of the guards: how many of a sequence's latest mails bounced or drew complaints."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.guard import Health

# A bounce counts as in analytics: its type is not soft, or no later event shows that the mail was delivered.
# The lateral joins read the latest mails of each sequence by index, and only the events of those mails.
_HEALTH = text(
    """
    SELECT sequence.id, count(mail.id) AS sent,
           count(*) FILTER (WHERE feedback.has_bounced) AS bounced,
           count(*) FILTER (WHERE feedback.has_complained) AS complained
      FROM app.sequences AS sequence
     CROSS JOIN LATERAL (
       SELECT draft.id FROM app.email_drafts AS draft
        WHERE draft.sequence_id = sequence.id AND draft.sent_at IS NOT NULL
          AND draft.sent_at > coalesce(sequence.activated_at, '-infinity')
        ORDER BY draft.sent_at DESC
        LIMIT :sample) AS mail
      LEFT JOIN LATERAL (
       SELECT bool_or(event.type = 'complained') AS has_complained,
              bool_or(event.type = 'bounced' AND event.data ->> 'bounce_type' IS DISTINCT FROM 'soft')
              OR max(event.occurred_at) FILTER (WHERE event.type = 'bounced') >= coalesce(
                   max(event.occurred_at) FILTER (
                     WHERE event.type IN ('delivered', 'opened', 'clicked', 'unsubscribed')),
                   '-infinity') AS has_bounced
         FROM app.email_events AS event
        WHERE event.draft_id = mail.id) AS feedback ON true
     WHERE sequence.workspace_id = :workspace_id AND sequence.id = ANY(CAST(:sequence_ids AS uuid[]))
       AND sequence.status = 'Active' AND sequence.deleted_at IS NULL
     GROUP BY sequence.id
    """
)

# Lock in id order to avoid deadlocks (database/locks.py).
_LOCK_SEQUENCES = text(
    """
    SELECT id FROM app.sequences
     WHERE workspace_id = :workspace_id AND id = ANY(CAST(:sequence_ids AS uuid[]))
     ORDER BY id
       FOR NO KEY UPDATE
    """
)


async def get_health(
    session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID], sample: int
) -> dict[UUID, Health]:
    """Return the health of the active ones of these sequences, by their latest mails, at most `sample` each.

    Mails sent before a sequence was last activated do not count: the user who activated it knew about them.
    """
    parameters = {"workspace_id": workspace_id, "sequence_ids": list(sequence_ids), "sample": sample}
    rows = await session.execute(_HEALTH, parameters)
    return {row.id: Health(row.sent, row.bounced, row.complained) for row in rows}


async def lock_sequences(session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID]) -> None:
    """Lock sequences so that no other transaction changes their status until this one ends."""
    await session.execute(_LOCK_SEQUENCES, {"workspace_id": workspace_id, "sequence_ids": list(sequence_ids)})
