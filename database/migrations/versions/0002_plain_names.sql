-- Standard names: the requests to a model, the slots that were used, and the function that authenticates a credential.

ALTER TABLE app.ai_usage RENAME COLUMN asked TO requests;

ALTER TABLE app.send_slots RENAME COLUMN made TO is_used;

-- A parameter cannot be renamed, so the function is created anew, with the same body.
DROP FUNCTION app.enter_by_credential(text, uuid, text, text);

-- Authenticates a request in one round trip: finds the key or the user of a credential, enters the account and, if it
-- belongs to the account, the workspace. It runs as its caller, so that each step sees only what row-level security
-- shows to the scope that the step before has entered.
CREATE FUNCTION app.authenticate_credential(credential text, requested_workspace_id uuid, timeout text, page_cost text)
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
  SELECT * INTO workspace FROM app.workspaces WHERE id = requested_workspace_id AND deleted_at IS NULL;
  IF FOUND THEN
    PERFORM set_config('app.workspace_id', requested_workspace_id::text, true);
  END IF;
  RETURN NEXT;
END
$$;

