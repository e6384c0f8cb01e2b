-- Adds the valid rows of a file, with the same precedence as any other addition: a reason of the recipient replaces
-- another reason.
WITH given AS (
  SELECT DISTINCT ON (value_hash) *
    FROM (
      SELECT kind, value, reason, source, least(coalesce(suppressed_at, :now), :now) AS suppressed_at, line_number,
             CASE WHEN value IS NULL THEN value_hash ELSE app.suppression_hash(:workspace_id, value) END
               AS value_hash
        FROM landing WHERE problem IS NULL
    ) AS sound
   -- Lock in id order to avoid deadlocks (database/locks.py).
   ORDER BY value_hash, reason = ANY(CAST(:recipient_reasons AS text[])) DESC, line_number
),
written AS (
  INSERT INTO app.suppressions AS existing
    (workspace_id, kind, value, value_hash, reason, source, suppressed_at)
  SELECT :workspace_id, kind, value, value_hash, reason, source, suppressed_at FROM given
  ON CONFLICT (workspace_id, value_hash) DO UPDATE
     SET reason = excluded.reason, source = excluded.source, suppressed_at = excluded.suppressed_at
   WHERE excluded.reason = ANY(CAST(:recipient_reasons AS text[]))
     AND existing.reason <> ALL(CAST(:recipient_reasons AS text[])) AND existing.reason <> 'domain'
  RETURNING xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM written WHERE is_new) AS added,
       count(*) FILTER (WHERE problem IS NULL) AS sound,
       count(*) FILTER (WHERE problem IS NOT NULL) AS invalid
  FROM landing
