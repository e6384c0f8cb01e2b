"""The SQL of undos: the leads of a block become what they were before the commit, in one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, select, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from database.models import Lead, LeadImport, LeadImportChange
from domain.lead_import import LEAD_FIELDS, imported_lead_id


@dataclass(frozen=True, slots=True)
class UndoneBlock:
    """The result of undoing one block."""

    removed: int
    restored: int
    kept: int
    deltas: Mapping[UUID, int]
    """The change of the number of leads, by list."""
    enrolled: Sequence[UUID]
    """The removed leads that are enrolled in a sequence."""


# Waits for claims of these leads that are not committed yet, so that the next statement sees them; no claim can begin
# before this transaction ends.
_LOCK_LEADS = text(
    """
    SELECT count(*) FROM (
      SELECT lead.id FROM app.leads AS lead
       WHERE lead.id = ANY (ARRAY(
               SELECT made.id FROM app.leads AS made
                WHERE made.workspace_id = :workspace_id AND made.id BETWEEN :first_id AND :last_id
                UNION ALL
               SELECT change.lead_id FROM app.lead_import_changes AS change
                WHERE change.workspace_id = :workspace_id AND change.import_id = :import_id
                  AND change.line_number BETWEEN :first AND :last))
         -- Lock in id order to avoid deadlocks (database/locks.py).
       ORDER BY lead.id
         FOR NO KEY UPDATE) AS locked
    """
)

_UNDO = text(
    f"""
    WITH touched AS (
      SELECT lead.id, lead.list_id, lead.updated_at, lead.created_at AS changed_at, CAST(NULL AS jsonb) AS before,
             CAST(CAST('x' || right(CAST(lead.id AS text), 8) AS bit(32)) AS int) AS line_number
        FROM app.leads AS lead
       WHERE lead.workspace_id = :workspace_id AND lead.deleted_at IS NULL
         AND lead.id BETWEEN :first_id AND :last_id
       UNION ALL
      SELECT lead.id, lead.list_id, lead.updated_at, change.changed_at, change.before, change.line_number
        FROM app.lead_import_changes AS change JOIN app.leads AS lead ON lead.id = change.lead_id
       WHERE change.workspace_id = :workspace_id AND change.import_id = :import_id
         AND change.line_number BETWEEN :first AND :last AND change.before IS NOT NULL
         AND lead.workspace_id = :workspace_id AND lead.deleted_at IS NULL
    ),
    classified AS MATERIALIZED (
      SELECT touched.*,
             CASE WHEN EXISTS (SELECT FROM app.email_drafts AS draft
                                 JOIN app.send_attempts AS attempt ON attempt.draft_id = draft.id
                                WHERE draft.lead_id = touched.id AND attempt.created_at >= touched.changed_at)
                    THEN 'mailed'
                  WHEN touched.updated_at <> touched.changed_at THEN 'changed'
             END AS kept_because
        FROM touched
    ),
    -- Both of the next two test `before`, so that no lead is in both: if one statement updates a row twice, Postgres
    -- applies only one of the updates, and it is not defined which.
    removed AS (
      UPDATE app.leads AS lead
         SET deleted_at = now()
        FROM classified
       WHERE lead.id = classified.id AND classified.before IS NULL AND classified.kept_because IS NULL
      RETURNING lead.id, lead.list_id
    ),
    restored AS (
      UPDATE app.leads AS lead
         SET {", ".join(f"{name} = classified.before ->> '{name}'" for name in LEAD_FIELDS)},
             custom_fields = classified.before -> 'custom_fields',
             list_id = CAST(classified.before ->> 'list_id' AS uuid)
        FROM classified
       WHERE lead.id = classified.id AND classified.before IS NOT NULL AND classified.kept_because IS NULL
      RETURNING lead.id, classified.list_id, lead.list_id AS list_before
    ),
    kept AS (
      INSERT INTO app.lead_import_changes
             (workspace_id, import_id, line_number, lead_id, before, changed_at, kept_because)
      SELECT :workspace_id, :import_id, line_number, id, before, changed_at, kept_because
        FROM classified
       WHERE kept_because IS NOT NULL
      ON CONFLICT (workspace_id, import_id, line_number) DO UPDATE SET kept_because = EXCLUDED.kept_because
      RETURNING line_number
    ),
    delta AS (
      SELECT list_id, -count(*) AS leads FROM removed WHERE list_id IS NOT NULL GROUP BY list_id
       UNION ALL
      SELECT list_id, -count(*) FROM restored
       WHERE list_id IS NOT NULL AND list_id IS DISTINCT FROM list_before GROUP BY list_id
    )
    SELECT (SELECT count(*) FROM removed) AS removed,
           (SELECT count(*) FROM restored) AS restored,
           (SELECT count(*) FROM kept) AS kept,
           (SELECT jsonb_object_agg(list_id, leads)
              FROM (SELECT list_id, sum(leads) AS leads FROM delta GROUP BY list_id) AS deltas) AS deltas,
           ARRAY(SELECT removed.id FROM removed
                  WHERE EXISTS (SELECT FROM app.lead_enrollments AS enrollment WHERE enrollment.lead_id = removed.id))
             AS enrolled
    """  # noqa: S608 - names of our own columns
)


async def undo_block(session: AsyncSession, record: LeadImport, lines: tuple[int, int]) -> UndoneBlock:
    """Undo what the rows between two lines changed, except leads that were changed or mailed since."""
    assert record.first_lead_id is not None
    parameters = {
        "workspace_id": record.workspace_id,
        "import_id": record.id,
        "first": lines[0],
        "last": lines[1],
        "first_id": imported_lead_id(record.first_lead_id, lines[0]),
        "last_id": imported_lead_id(record.first_lead_id, lines[1]),
    }
    await session.execute(_LOCK_LEADS, parameters)
    row = (await session.execute(_UNDO, parameters)).one()
    deltas = {UUID(list_id): int(leads) for list_id, leads in (row.deltas or {}).items()}
    return UndoneBlock(row.removed, row.restored, row.kept, deltas, row.enrolled)


async def list_kept_leads(
    session: AsyncSession, workspace_id: UUID, import_id: UUID, page: PageRequest
) -> Sequence[Row[UUID, str, int, str | None]]:
    """Return the leads that an undo kept: `id`, `email`, `line_number`, `kept_because`, one more than a page."""
    change = LeadImportChange
    statement = (
        select(Lead.id, Lead.email, change.line_number, change.kept_because)
        .join(Lead, and_(Lead.id == change.lead_id, Lead.workspace_id == workspace_id))
        .where(change.workspace_id == workspace_id, change.import_id == import_id, change.kept_because.is_not(None))
    )
    return (await session.execute(paged(statement, Lead.id, page))).all()
