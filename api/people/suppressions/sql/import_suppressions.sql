-- Adds the valid rows of a file, with the same precedence as any other addition: a reason of the recipient replaces
-- another reason, and a domain with its subdomains replaces the domain alone.
WITH account AS (SELECT account_id FROM app.workspaces WHERE id = :workspace_id),
given AS (
  SELECT DISTINCT ON (value_hash, scope) *
    FROM (
      SELECT kind, value, reason, source, least(coalesce(suppressed_at, :now), :now) AS suppressed_at, line_number,
             scope, include_subdomains,
             CASE WHEN value IS NULL THEN value_hash
                  ELSE app.suppression_hash((SELECT account_id FROM account), value) END AS value_hash
        FROM landing WHERE problem IS NULL
    ) AS sound
   -- Lock in id order to avoid deadlocks (database/locks.py).
   ORDER BY value_hash, scope, reason = ANY(CAST(:recipient_reasons AS text[])) DESC, include_subdomains DESC, line_number
),
written AS (
  INSERT INTO app.suppressions AS existing
    (account_id, workspace_id, kind, value, value_hash, include_subdomains, reason, source, suppressed_at)
  SELECT account_id, CASE WHEN scope = 'workspace' THEN CAST(:workspace_id AS uuid) END, kind,
         -- A file does not bring back an address that was erased.
         CASE WHEN NOT EXISTS (SELECT FROM app.suppressions AS erased
                                WHERE erased.account_id = account.account_id AND erased.value_hash = given.value_hash
                                  AND (erased.workspace_id IS NULL OR erased.workspace_id = :workspace_id)
                                  AND erased.value IS NULL) THEN value END,
         value_hash, include_subdomains, reason, source, suppressed_at
    FROM given CROSS JOIN account
  ON CONFLICT (account_id, value_hash, workspace_id) DO UPDATE
     SET reason = excluded.reason, source = excluded.source, suppressed_at = excluded.suppressed_at,
         include_subdomains = excluded.include_subdomains,
         created_at = CASE WHEN excluded.include_subdomains THEN now() ELSE existing.created_at END
   WHERE excluded.include_subdomains AND NOT existing.include_subdomains
      OR excluded.reason = ANY(CAST(:recipient_reasons AS text[]))
         AND existing.reason <> ALL(CAST(:recipient_reasons AS text[])) AND existing.reason <> 'domain'
  RETURNING xmax = 0 AS is_new
)
SELECT (SELECT count(*) FROM written WHERE is_new) AS added,
       count(*) FILTER (WHERE problem IS NULL) AS sound,
       count(*) FILTER (WHERE problem IS NOT NULL) AS invalid
  FROM landing
