-- The functions of the database, except those of the change log and of triggers.

-- The workspace, the account, the credential and the email address of the current transaction; null if it has none.
-- Policies compare rows with them, and database/tenancy.py sets them.
CREATE FUNCTION app.current_workspace() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('app.workspace_id', true), '')::uuid
$$;
CREATE FUNCTION app.current_account() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('app.account_id', true), '')::uuid
$$;
CREATE FUNCTION app.current_credential_hash() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('app.credential_hash', true), '')::text
$$;
CREATE FUNCTION app.current_verified_email() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('app.verified_email', true), '')
$$;

-- Authenticates a request in one round trip: finds the key or the user of a credential, enters the account and, if it
-- belongs to the account, the workspace. It runs as its caller, so that each step sees only what row-level security
-- shows to the scope that the step before has entered.
CREATE FUNCTION app.enter_by_credential(credential text, wanted uuid, timeout text, page_cost text)
RETURNS TABLE (account_id uuid, user_id uuid, role text, workspace app.workspaces) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  key app.api_keys;
  person app.users;
BEGIN
  PERFORM set_config('app.credential_hash', credential, true), set_config('app.account_id', '', true),
          set_config('app.workspace_id', '', true), set_config('statement_timeout', timeout, true),
          set_config('random_page_cost', page_cost, true);
  SELECT * INTO key FROM app.api_keys WHERE secret_hash = credential AND revoked_at IS NULL;
  IF FOUND THEN
    PERFORM set_config('app.account_id', key.account_id::text, true);
    SELECT * INTO person FROM app.users WHERE id = key.user_id;
  ELSE
    SELECT * INTO person FROM app.users WHERE subject_hash = credential;
    PERFORM set_config('app.account_id', person.account_id::text, true);
  END IF;
  IF person.id IS NULL THEN
    RETURN;
  END IF;
  -- At most once a minute, so that reads stay reads. A key that another transaction has locked is skipped.
  IF key.id IS NOT NULL AND coalesce(key.last_used_at < now() - interval '1 minute', true) THEN
    UPDATE app.api_keys SET last_used_at = now()
     WHERE id = (SELECT id FROM app.api_keys WHERE id = key.id FOR UPDATE SKIP LOCKED);
  END IF;
  account_id := person.account_id;
  user_id := person.id;
  role := person.role;
  SELECT * INTO workspace FROM app.workspaces WHERE id = wanted AND deleted_at IS NULL;
  IF FOUND THEN
    PERFORM set_config('app.workspace_id', wanted::text, true);
  END IF;
  RETURN NEXT;
END
$$;

-- The hash by which a suppressed address is found after its plain value was erased. STABLE, as the functions it calls:
-- declared IMMUTABLE, Postgres would not inline it, and a hash would cost three times as much.
CREATE FUNCTION app.suppression_hash(workspace_id uuid, value text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT encode(sha256(convert_to(workspace_id::text || ':' || lower(btrim(value)), 'UTF8')), 'hex')
$$;

-- The id of the lead that a line of a file becomes: the first 24 digits of `first_lead_id`, a UUID of version 7, and
-- then the line. So leads are in the order of their file, and the lead of a line is known without being stored.
CREATE FUNCTION app.imported_lead_id(first_lead_id uuid, line_number int) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (left(first_lead_id::text, 28) || lpad(to_hex(line_number), 8, '0'))::uuid
$$;

-- Renews the planner's statistics of leads during an import. Autovacuum comes too late: as long as the planner expects
-- one lead in a workspace that has thousands, each lookup of an address reads them all. Only the owner may ANALYZE.
CREATE FUNCTION app.analyze_leads() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  ANALYZE app.leads (workspace_id, list_id, email, status, segment, last_name, company, updated_at, deleted_at);
END
$$;

-- Counts sends of unknown outcome for the engine, which may not read the sends themselves.
CREATE FUNCTION app.unknown_sends() RETURNS TABLE (number bigint, oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT count(*), min(claimed_at) FROM app.send_attempts WHERE outcome = 'unknown'
$$;

-- Enqueues one job of a type in every workspace for the engine, which may not read workspaces. Ordered by id, so that
-- workers that do this at the same time wait for each other instead of in a deadlock.
CREATE FUNCTION app.enqueue_slot(of_type text, slot timestamptz) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH made AS (
    INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at, dedupe_key)
    SELECT id, of_type, slot, slot, 'slot:' || to_char(slot AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
      FROM app.workspaces WHERE deleted_at IS NULL ORDER BY id
    ON CONFLICT (workspace_id, job_type, dedupe_key) DO NOTHING
    RETURNING 1
  )
  SELECT count(*) FROM made
$$;
