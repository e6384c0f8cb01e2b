-- What all spellings of one person's mailbox share, of a canonical address; domain/suppression.py defines it. A tag after
-- a plus is left out; at Gmail, dots are left out too, and both of its domains are one. A domain, `@example.com`, stays.
CREATE FUNCTION app.person_key(address text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN address LIKE '"%' THEN address
    WHEN address LIKE '_%@gmail.com' OR address LIKE '_%@googlemail.com' THEN
      coalesce(nullif(replace(regexp_replace(address, '^(.[^+]*)(\+.*)?@[^@]*$', '\1'), '.', ''), ''),
               regexp_replace(address, '^(.[^+]*)(\+.*)?@[^@]*$', '\1')) || '@gmail.com'
    WHEN address LIKE '_%+%@%' THEN regexp_replace(address, '^(.[^+]*)\+.*@', '\1@')
    ELSE address
  END
$$;

-- The hash by which a suppressed address is found, in any spelling and after its plain value was erased. STABLE, as the
-- functions it calls: declared IMMUTABLE, Postgres would not inline it, and a hash would cost three times as much.
CREATE OR REPLACE FUNCTION app.suppression_hash(workspace_id uuid, value text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT encode(sha256(convert_to(workspace_id::text || ':' || app.person_key(lower(btrim(value))), 'UTF8')), 'hex')
$$;

DROP INDEX app.uq_suppressions_workspace_id_value_hash;
UPDATE app.suppressions SET value_hash = app.suppression_hash(workspace_id, value)
 WHERE kind = 'email' AND app.person_key(value) <> value;
UPDATE app.suppression_removals SET value_hash = app.suppression_hash(workspace_id, value)
 WHERE kind = 'email' AND app.person_key(value) <> value;
-- Of several spellings of a person, what the recipient said stays, and then the oldest.
DELETE FROM app.suppressions
 WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (
                                       PARTITION BY workspace_id, value_hash
                                       ORDER BY reason IN ('unsubscribed', 'complaint') DESC, suppressed_at, id) AS rank
                                FROM app.suppressions) AS ranked
               WHERE rank > 1);
CREATE UNIQUE INDEX uq_suppressions_workspace_id_value_hash ON app.suppressions (workspace_id, value_hash);

-- The leads whose address is a longer spelling. Those of all others are found by the address itself.
CREATE INDEX ix_leads_workspace_id_person_key ON app.leads (workspace_id, app.person_key(email))
  WHERE app.person_key(email) <> email;

-- The leads of the transaction's workspace with an address of these persons, deleted or not. It runs as the owner: with
-- row-level security Postgres uses no index on an expression with a function.
CREATE FUNCTION app.list_holders(person_keys text[]) RETURNS TABLE (person_key text, lead_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT email, id FROM app.leads
   WHERE workspace_id = (SELECT app.current_workspace()) AND email = ANY(person_keys) AND deleted_at IS NULL
  UNION ALL
  SELECT email, id FROM app.leads
   WHERE workspace_id = (SELECT app.current_workspace()) AND email = ANY(person_keys) AND deleted_at IS NOT NULL
  UNION ALL
  SELECT app.person_key(email), id FROM app.leads
   WHERE workspace_id = (SELECT app.current_workspace()) AND app.person_key(email) = ANY(person_keys)
     AND app.person_key(email) <> email
$$;
REVOKE ALL ON FUNCTION app.list_holders(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.list_holders(text[]) TO salesmatter_app;
