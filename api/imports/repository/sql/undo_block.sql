-- Restores the leads of a block. One statement, because a block may have thousands of leads. The restored columns are
-- those of LEAD_FIELDS.
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
     SET first_name = classified.before ->> 'first_name',
         last_name = classified.before ->> 'last_name',
         company = classified.before ->> 'company',
         role = classified.before ->> 'role',
         segment = classified.before ->> 'segment',
         timezone = classified.before ->> 'timezone',
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
