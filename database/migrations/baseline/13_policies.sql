-- Row-level security: which rows each role can read and write. It does not apply to the owner of the tables.
--
-- Each function is called in a sub-select, so that Postgres calls it once for a statement and not for every row.

-- The app sees the rows of the transaction's account or workspace, and can write no others. A policy named `account`
-- compares the account, one named `workspace` the workspace.

-- Accounts.
ALTER TABLE app.accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY account ON app.accounts TO salesmatter_app
  USING (id = (SELECT app.current_account())) WITH CHECK (id = (SELECT app.current_account()));
ALTER TABLE app.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY account ON app.users TO salesmatter_app
  USING (account_id = (SELECT app.current_account())) WITH CHECK (account_id = (SELECT app.current_account()));
ALTER TABLE app.api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY account ON app.api_keys TO salesmatter_app
  USING (account_id = (SELECT app.current_account())) WITH CHECK (account_id = (SELECT app.current_account()));
ALTER TABLE app.idempotency_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY account ON app.idempotency_keys TO salesmatter_app
  USING (account_id = (SELECT app.current_account())) WITH CHECK (account_id = (SELECT app.current_account()));

-- Workspaces.
ALTER TABLE app.workspaces ENABLE ROW LEVEL SECURITY;
CREATE POLICY account ON app.workspaces TO salesmatter_app
  USING (account_id = (SELECT app.current_account())) WITH CHECK (account_id = (SELECT app.current_account()));
ALTER TABLE app.everlytic_connections ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.everlytic_connections TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.ai_usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.ai_usage TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.ai_reservations ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.ai_reservations TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));

-- People.
ALTER TABLE app.lead_lists ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.lead_lists TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.leads ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.leads TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.lead_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.lead_events TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.suppressions ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.suppressions TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.suppression_removals ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.suppression_removals TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));

-- Imports.
ALTER TABLE app.lead_imports ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.lead_imports TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.lead_import_blocks ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.lead_import_blocks TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.lead_import_rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.lead_import_rows TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.lead_import_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.lead_import_changes TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.lead_import_mappings ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.lead_import_mappings TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));

-- Outreach.
ALTER TABLE app.sequences ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.sequences TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.sequence_steps ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.sequence_steps TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.lead_enrollments ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.lead_enrollments TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.enrollment_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.enrollment_events TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.email_drafts ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.email_drafts TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));

-- Delivery.
ALTER TABLE app.send_attempts ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.send_attempts TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.send_settlements ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.send_settlements TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.send_slots ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.send_slots TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.email_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.email_events TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));

-- Inbox.
ALTER TABLE app.replies ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.replies TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.reply_corrections ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.reply_corrections TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.mailboxes ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.mailboxes TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));

-- Jobs.
ALTER TABLE app.scheduled_jobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.scheduled_jobs TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.archived_jobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.archived_jobs TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.workspace_limits ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.workspace_limits TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE app.changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.changes TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));

-- The provider record.
ALTER TABLE everlytic.webhook_deliveries ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON everlytic.webhook_deliveries TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE everlytic.transactions ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON everlytic.transactions TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE everlytic.callback_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON everlytic.callback_events TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE everlytic.campaign_reports ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON everlytic.campaign_reports TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
ALTER TABLE everlytic.sync_cursors ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON everlytic.sync_cursors TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));

-- Before the tenant is known, the app sees the one row whose secret has the transaction's credential hash.
CREATE POLICY credential ON app.api_keys FOR SELECT TO salesmatter_app
  USING (secret_hash = (SELECT app.current_credential_hash()));
CREATE POLICY credential ON app.users FOR SELECT TO salesmatter_app
  USING (subject_hash = (SELECT app.current_credential_hash()));
CREATE POLICY credential ON app.everlytic_connections FOR SELECT TO salesmatter_app
  USING (webhook_token_hash = (SELECT app.current_credential_hash()));

-- At the first sign-in by a token, the app sees the users of any account who have the email address that the issuer
-- verified.
CREATE POLICY verified_email ON app.users FOR SELECT TO salesmatter_app
  USING (lower(email) = (SELECT app.current_verified_email()));

-- A job runs in its workspace without knowing the account.
CREATE POLICY workspace ON app.workspaces FOR SELECT TO salesmatter_app
  USING (id = (SELECT app.current_workspace()));

-- A job locks its workspace so that it is not deleted meanwhile. A row lock needs an UPDATE policy; the check refuses
-- the update itself.
CREATE POLICY hold ON app.workspaces FOR UPDATE TO salesmatter_app
  USING (id = (SELECT app.current_workspace())) WITH CHECK (false);

-- The engine sees the queue, the rates, the workers and the change log of all workspaces, and adds to the archive. No
-- other role sees the workers.
ALTER TABLE app.job_workers ENABLE ROW LEVEL SECURITY;
CREATE POLICY engine ON app.job_workers TO salesmatter_engine USING (true) WITH CHECK (true);
CREATE POLICY engine ON app.scheduled_jobs TO salesmatter_engine USING (true) WITH CHECK (true);
CREATE POLICY engine ON app.workspace_limits TO salesmatter_engine USING (true) WITH CHECK (true);
CREATE POLICY engine ON app.changes TO salesmatter_engine USING (true) WITH CHECK (true);
CREATE POLICY engine ON app.archived_jobs FOR INSERT TO salesmatter_engine WITH CHECK (true);
