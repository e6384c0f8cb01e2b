-- The change log: which tables changed for which workspace or account, so that live queries know when to ask again.

-- One statement of a transaction changed a table for one workspace, or for one account under the account's id. Triggers
-- write the rows; rows older than an hour are deleted.
CREATE TABLE app.changes (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  workspace_id uuid NOT NULL,
  table_name text NOT NULL,
  -- A reader asks which transactions became visible since its last look. This 64-bit id never wraps.
  transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
  changed_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_changes PRIMARY KEY (id)
);
CREATE INDEX ix_changes_changed_at ON app.changes (changed_at);
CREATE INDEX ix_changes_transaction_id_id ON app.changes (transaction_id, id);

-- Logs a statement once for each workspace or account whose rows it changed. It runs as its owner, because the role
-- that changes a row may not write to the log. Its arguments are the table and the column with the workspace or the
-- account; each column has a statement of its own, because one built by format() would be planned again each time.
CREATE FUNCTION app.log_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  CASE TG_ARGV[1]
    WHEN 'workspace_id' THEN
      INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT workspace_id, TG_ARGV[0] FROM changed;
    WHEN 'account_id' THEN
      INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT account_id, TG_ARGV[0] FROM changed;
    WHEN 'id' THEN
      INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT id, TG_ARGV[0] FROM changed;
  END CASE;
  RETURN NULL;
END
$$;

-- Logs changes of API keys, except of `last_used_at`. That column changes every minute for each key in use, and every
-- request reads keys: logging it would ask all live queries of the account again every minute.
CREATE FUNCTION app.log_key_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO app.changes (workspace_id, table_name)
  SELECT DISTINCT changed.account_id, 'api_keys'
    FROM changed JOIN before ON before.id = changed.id
   WHERE to_jsonb(changed) - 'last_used_at' IS DISTINCT FROM to_jsonb(before) - 'last_used_at';
  RETURN NULL;
END
$$;

-- Every table that a GET reads has three triggers, one for each kind of statement. A table without them does not move
-- live queries.

-- Accounts: users and keys belong to an account, so their changes are logged under its id.
CREATE TRIGGER log_insert AFTER INSERT ON app.accounts REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('accounts', 'id');
CREATE TRIGGER log_update AFTER UPDATE ON app.accounts REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('accounts', 'id');
CREATE TRIGGER log_delete AFTER DELETE ON app.accounts REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('accounts', 'id');
CREATE TRIGGER log_insert AFTER INSERT ON app.users REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('users', 'account_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.users REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('users', 'account_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.users REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('users', 'account_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.api_keys REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('api_keys', 'account_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.api_keys REFERENCING OLD TABLE AS before NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_key_change();
CREATE TRIGGER log_delete AFTER DELETE ON app.api_keys REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('api_keys', 'account_id');

-- Workspaces: a workspace is shown in the workspace and in its account, so each change is logged under both ids.
CREATE TRIGGER log_insert AFTER INSERT ON app.workspaces REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('workspaces', 'id');
CREATE TRIGGER log_update AFTER UPDATE ON app.workspaces REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('workspaces', 'id');
CREATE TRIGGER log_delete AFTER DELETE ON app.workspaces REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('workspaces', 'id');
CREATE TRIGGER log_account_insert AFTER INSERT ON app.workspaces REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('workspaces', 'account_id');
CREATE TRIGGER log_account_update AFTER UPDATE ON app.workspaces REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('workspaces', 'account_id');
CREATE TRIGGER log_account_delete AFTER DELETE ON app.workspaces REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('workspaces', 'account_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.everlytic_connections REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('everlytic_connections', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.everlytic_connections REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('everlytic_connections', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.everlytic_connections REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('everlytic_connections', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.ai_usage REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('ai_usage', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.ai_usage REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('ai_usage', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.ai_usage REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('ai_usage', 'workspace_id');

-- People.
CREATE TRIGGER log_insert AFTER INSERT ON app.lead_lists REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_lists', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.lead_lists REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_lists', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.lead_lists REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_lists', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.leads REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('leads', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.leads REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('leads', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.leads REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('leads', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.lead_events REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_events', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.lead_events REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_events', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.lead_events REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_events', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.suppressions REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppressions', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.suppressions REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppressions', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.suppressions REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppressions', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.suppression_removals REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppression_removals', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.suppression_removals REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppression_removals', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.suppression_removals REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('suppression_removals', 'workspace_id');

-- Imports: also the rows and blocks of a file, because GETs read them.
CREATE TRIGGER log_insert AFTER INSERT ON app.lead_imports REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_imports', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.lead_imports REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_imports', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.lead_imports REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_imports', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.lead_import_blocks REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_import_blocks', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.lead_import_blocks REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_import_blocks', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.lead_import_blocks REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_import_blocks', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.lead_import_rows REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_import_rows', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.lead_import_rows REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_import_rows', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.lead_import_rows REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_import_rows', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.lead_import_changes REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_import_changes', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.lead_import_changes REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_import_changes', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.lead_import_changes REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_import_changes', 'workspace_id');

-- Outreach.
CREATE TRIGGER log_insert AFTER INSERT ON app.sequences REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('sequences', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.sequences REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('sequences', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.sequences REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('sequences', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.sequence_steps REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('sequence_steps', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.sequence_steps REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('sequence_steps', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.sequence_steps REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('sequence_steps', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.lead_enrollments REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_enrollments', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.lead_enrollments REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_enrollments', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.lead_enrollments REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('lead_enrollments', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.enrollment_events REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('enrollment_events', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.enrollment_events REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('enrollment_events', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.enrollment_events REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('enrollment_events', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.email_drafts REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('email_drafts', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.email_drafts REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('email_drafts', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.email_drafts REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('email_drafts', 'workspace_id');

-- Delivery.
CREATE TRIGGER log_insert AFTER INSERT ON app.send_attempts REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('send_attempts', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.send_attempts REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('send_attempts', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.send_attempts REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('send_attempts', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.send_settlements REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('send_settlements', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.send_settlements REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('send_settlements', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.send_settlements REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('send_settlements', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.email_events REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('email_events', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.email_events REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('email_events', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.email_events REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('email_events', 'workspace_id');

-- Inbox.
CREATE TRIGGER log_insert AFTER INSERT ON app.replies REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('replies', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.replies REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('replies', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.replies REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('replies', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.reply_corrections REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('reply_corrections', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.reply_corrections REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('reply_corrections', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.reply_corrections REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('reply_corrections', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON app.mailboxes REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('mailboxes', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.mailboxes REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('mailboxes', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.mailboxes REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('mailboxes', 'workspace_id');

-- Jobs.
CREATE TRIGGER log_insert AFTER INSERT ON app.scheduled_jobs REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('scheduled_jobs', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON app.scheduled_jobs REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('scheduled_jobs', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON app.scheduled_jobs REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('scheduled_jobs', 'workspace_id');

-- The provider record: only the tables that a GET reads.
CREATE TRIGGER log_insert AFTER INSERT ON everlytic.campaign_reports REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('campaign_reports', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON everlytic.campaign_reports REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('campaign_reports', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON everlytic.campaign_reports REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('campaign_reports', 'workspace_id');
CREATE TRIGGER log_insert AFTER INSERT ON everlytic.sync_cursors REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('sync_cursors', 'workspace_id');
CREATE TRIGGER log_update AFTER UPDATE ON everlytic.sync_cursors REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('sync_cursors', 'workspace_id');
CREATE TRIGGER log_delete AFTER DELETE ON everlytic.sync_cursors REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('sync_cursors', 'workspace_id');
