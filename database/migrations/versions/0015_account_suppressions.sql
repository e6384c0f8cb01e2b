-- What counts for a whole account belongs to the account alone; what counts for one workspace belongs to both.

-- The account of the transaction's workspace. A job knows only its workspace.
CREATE FUNCTION app.current_workspace_account() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT account_id FROM app.workspaces WHERE id = app.current_workspace()
$$;

-- The hash by which a suppressed address is found, in any spelling and after its plain value was erased. STABLE, as the
-- functions it calls: declared IMMUTABLE, Postgres would not inline it, and a hash would cost three times as much.
DROP FUNCTION app.suppression_hash(uuid, text);
CREATE FUNCTION app.suppression_hash(account_id uuid, value text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT encode(sha256(convert_to(account_id::text || ':' || app.person_key(lower(btrim(value))), 'UTF8')), 'hex')
$$;

-- The hashes of the domains above the domain of an address, except that of the last label alone.
CREATE FUNCTION app.parent_domain_hashes(account_id uuid, address text) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT array_agg(app.suppression_hash(account_id, '@' || array_to_string(labels[first:], '.')))
    FROM string_to_array(split_part(address, '@', -1), '.') AS labels,
         generate_series(2, cardinality(labels) - 1) AS first
$$;

ALTER TABLE app.suppressions
  ADD COLUMN account_id uuid,
  -- Whether a domain stands for the domains below it too.
  ADD COLUMN include_subdomains boolean NOT NULL DEFAULT false,
  -- Null for one that counts for the whole account.
  ALTER COLUMN workspace_id DROP NOT NULL,
  ADD CONSTRAINT fk_suppressions_account_id FOREIGN KEY (account_id) REFERENCES app.accounts (id) ON DELETE CASCADE,
  ADD CONSTRAINT ck_suppressions_include_subdomains CHECK (kind = 'domain' OR NOT include_subdomains);
ALTER TABLE app.suppression_removals
  ADD COLUMN account_id uuid,
  ADD COLUMN include_subdomains boolean NOT NULL DEFAULT false,
  ALTER COLUMN workspace_id DROP NOT NULL,
  ADD CONSTRAINT fk_suppression_removals_account_id
    FOREIGN KEY (account_id) REFERENCES app.accounts (id) ON DELETE CASCADE;

-- The hash of an erased address was made with its workspace's id and cannot be made again. A no must not get lost.
DO $$
BEGIN
  IF EXISTS (SELECT FROM app.suppressions WHERE value IS NULL) THEN
    RAISE EXCEPTION 'Some suppressions have only a hash of an earlier kind. Begin with a new database, or delete them: '
      'DELETE FROM app.suppressions WHERE value IS NULL;';
  END IF;
END
$$;

DROP INDEX app.uq_suppressions_workspace_id_value_hash, app.ix_suppressions_workspace_id_id,
  app.ix_suppressions_workspace_id_reason_id, app.ix_suppression_removals_workspace_id_id,
  app.ix_suppression_removals_workspace_id_value_hash;

-- What a recipient or their mail system said counts for the account.
UPDATE app.suppressions AS suppression
   SET account_id = workspace.account_id,
       workspace_id = CASE WHEN reason IN ('unsubscribed', 'complaint', 'hard_bounce') THEN NULL ELSE workspace_id END,
       value_hash = app.suppression_hash(workspace.account_id, value)
  FROM app.workspaces AS workspace WHERE workspace.id = suppression.workspace_id;
UPDATE app.suppression_removals AS removal
   SET account_id = workspace.account_id,
       workspace_id = CASE WHEN reason IN ('unsubscribed', 'complaint', 'hard_bounce') THEN NULL ELSE workspace_id END,
       value_hash = CASE WHEN value IS NULL THEN value_hash ELSE app.suppression_hash(workspace.account_id, value) END
  FROM app.workspaces AS workspace WHERE workspace.id = removal.workspace_id;
-- Of several in one account, what the recipient said stays, and then the oldest.
DELETE FROM app.suppressions
 WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (
                                       PARTITION BY account_id, value_hash, workspace_id
                                       ORDER BY reason IN ('unsubscribed', 'complaint') DESC, suppressed_at, id) AS rank
                                FROM app.suppressions) AS ranked
               WHERE rank > 1);

ALTER TABLE app.suppressions ALTER COLUMN account_id SET NOT NULL;
ALTER TABLE app.suppression_removals ALTER COLUMN account_id SET NOT NULL;
CREATE UNIQUE INDEX uq_suppressions_account_id_value_hash_workspace_id
  ON app.suppressions (account_id, value_hash, workspace_id) NULLS NOT DISTINCT;
CREATE INDEX ix_suppressions_account_id_id ON app.suppressions (account_id, id);
CREATE INDEX ix_suppressions_account_id_reason_id ON app.suppressions (account_id, reason, id);
CREATE INDEX ix_suppressions_subdomains ON app.suppressions (account_id, value_hash) WHERE include_subdomains;
-- For the deletion of a workspace.
CREATE INDEX ix_suppressions_workspace_id ON app.suppressions (workspace_id);
CREATE INDEX ix_suppression_removals_account_id_id ON app.suppression_removals (account_id, id);
CREATE INDEX ix_suppression_removals_account_id_value_hash ON app.suppression_removals (account_id, value_hash);
CREATE INDEX ix_suppression_removals_workspace_id ON app.suppression_removals (workspace_id);

-- A workspace sees and writes its own and those of its account.
DROP POLICY workspace ON app.suppressions;
CREATE POLICY workspace ON app.suppressions TO salesmatter_app
  USING (account_id = (SELECT app.current_workspace_account())
         AND (workspace_id IS NULL OR workspace_id = (SELECT app.current_workspace())))
  WITH CHECK (account_id = (SELECT app.current_workspace_account())
              AND (workspace_id IS NULL OR workspace_id = (SELECT app.current_workspace())));
DROP POLICY workspace ON app.suppression_removals;
CREATE POLICY workspace ON app.suppression_removals TO salesmatter_app
  USING (account_id = (SELECT app.current_workspace_account())
         AND (workspace_id IS NULL OR workspace_id = (SELECT app.current_workspace())))
  WITH CHECK (account_id = (SELECT app.current_workspace_account())
              AND (workspace_id IS NULL OR workspace_id = (SELECT app.current_workspace())));

-- Logs what counts for an account under the account's id, which the live queries of all its workspaces follow.
CREATE OR REPLACE FUNCTION app.log_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  CASE TG_ARGV[1]
    WHEN 'workspace_id' THEN
      INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT workspace_id, TG_ARGV[0] FROM changed;
    WHEN 'account_id' THEN
      INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT account_id, TG_ARGV[0] FROM changed;
    WHEN 'workspace_id or account_id' THEN
      INSERT INTO app.changes (workspace_id, table_name)
      SELECT DISTINCT coalesce(workspace_id, account_id), TG_ARGV[0] FROM changed;
    WHEN 'id' THEN
      INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT id, TG_ARGV[0] FROM changed;
  END CASE;
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON app.suppressions REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppressions', 'workspace_id or account_id');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON app.suppressions REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppressions', 'workspace_id or account_id');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON app.suppressions REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppressions', 'workspace_id or account_id');
CREATE OR REPLACE TRIGGER log_insert AFTER INSERT ON app.suppression_removals REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppression_removals', 'workspace_id or account_id');
CREATE OR REPLACE TRIGGER log_update AFTER UPDATE ON app.suppression_removals REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppression_removals', 'workspace_id or account_id');
CREATE OR REPLACE TRIGGER log_delete AFTER DELETE ON app.suppression_removals REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppression_removals', 'workspace_id or account_id');

-- A transaction that suppresses waits, as the last step of its commit, for the claims of its account, which may not have
-- seen it; later claims wait for it. Claims share this lock (database/locks.py). Every statement that writes
-- suppressions writes one line per workspace or account to the change log, so that one trigger event is enough for a
-- file of a million rows.
CREATE FUNCTION app.lock_suppressions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('suppressions:' || coalesce(
    (SELECT account_id FROM app.workspaces WHERE id = NEW.workspace_id), NEW.workspace_id), 0));
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER lock_suppressions AFTER INSERT ON app.changes DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.table_name = 'suppressions') EXECUTE FUNCTION app.lock_suppressions();

-- The leads of a workspace with an address of these persons, deleted or not.
CREATE FUNCTION app.find_holders(workspace uuid, person_keys text[]) RETURNS TABLE (person_key text, lead_id uuid)
LANGUAGE sql STABLE AS $$
  SELECT email, id FROM app.leads
   WHERE workspace_id = workspace AND email = ANY(person_keys) AND deleted_at IS NULL
  UNION ALL
  SELECT email, id FROM app.leads
   WHERE workspace_id = workspace AND email = ANY(person_keys) AND deleted_at IS NOT NULL
  UNION ALL
  SELECT app.person_key(email), id FROM app.leads
   WHERE workspace_id = workspace AND app.person_key(email) = ANY(person_keys) AND app.person_key(email) <> email
$$;
-- The same of the transaction's workspace. It runs as the owner: with row-level security Postgres uses no index on an
-- expression with a function.
CREATE OR REPLACE FUNCTION app.list_holders(person_keys text[]) RETURNS TABLE (person_key text, lead_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT holder.person_key, holder.lead_id FROM app.find_holders(app.current_workspace(), person_keys) AS holder
$$;

-- Enqueues a job in each other workspace of the account that has leads with an address of these persons: it stops them.
-- It runs as the owner, because the transaction sees only its own workspace.
CREATE FUNCTION app.enqueue_stops(of_type text, person_keys text[], reason text, cause text, due timestamptz)
RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH made AS (
    INSERT INTO app.scheduled_jobs (workspace_id, job_type, payload, scheduled_for, run_at)
    SELECT workspace.id, of_type,
           jsonb_build_object('leadIds', jsonb_agg(holder.lead_id ORDER BY holder.lead_id), 'reason', reason,
                              'cause', cause),
           due, due
      FROM app.workspaces AS workspace CROSS JOIN LATERAL app.find_holders(workspace.id, person_keys) AS holder
     WHERE workspace.account_id = (SELECT app.current_workspace_account())
       AND workspace.id <> (SELECT app.current_workspace()) AND workspace.deleted_at IS NULL
     GROUP BY workspace.id
    RETURNING 1
  )
  SELECT count(*) FROM made
$$;
REVOKE ALL ON FUNCTION app.enqueue_stops(text, text[], text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.enqueue_stops(text, text[], text, text, timestamptz) TO salesmatter_app;
