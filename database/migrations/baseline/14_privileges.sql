-- What the two roles may do with the schemas, tables and functions. Row-level security narrows it to rows.

-- A server may grant every new table to all roles by default.
REVOKE ALL ON ALL TABLES IN SCHEMA app, everlytic FROM PUBLIC;

GRANT USAGE ON SCHEMA app, everlytic, analytics TO salesmatter_app;
GRANT USAGE ON SCHEMA app TO salesmatter_engine;

-- A process reads the revision, so that it can refuse to start on a schema it was not written for.
GRANT SELECT ON public.alembic_version TO salesmatter_app, salesmatter_engine;

-- The app writes all tables of accounts and workspaces.
GRANT SELECT, INSERT, UPDATE, DELETE ON
  app.accounts, app.users, app.api_keys, app.idempotency_keys,
  app.workspaces, app.everlytic_connections, app.ai_usage, app.ai_reservations,
  app.lead_lists, app.leads, app.suppressions,
  app.lead_imports, app.lead_import_blocks, app.lead_import_rows, app.lead_import_changes, app.lead_import_mappings,
  app.sequences, app.sequence_steps, app.lead_enrollments, app.email_drafts,
  app.send_attempts, app.send_settlements, app.send_slots, app.email_events,
  app.replies, app.mailboxes,
  app.scheduled_jobs, app.archived_jobs, app.workspace_limits,
  everlytic.webhook_deliveries, everlytic.transactions, everlytic.callback_events, everlytic.campaign_reports,
  everlytic.sync_cursors
TO salesmatter_app;

-- Histories are append-only: nothing in them is changed or deleted.
GRANT SELECT, INSERT ON app.lead_events, app.enrollment_events, app.reply_corrections, app.suppression_removals
TO salesmatter_app;

-- Erasure removes the plain address of a removal.
GRANT UPDATE (value) ON app.suppression_removals TO salesmatter_app;

-- Triggers write the change log; the app only reads it.
GRANT SELECT ON app.changes TO salesmatter_app;

-- The engine takes jobs from the queue into the archive, counts starts against rates, records heartbeats, and reads and
-- prunes the change log. It has no privilege on what people wrote or sent.
GRANT SELECT, UPDATE, DELETE ON app.scheduled_jobs TO salesmatter_engine;
GRANT INSERT ON app.archived_jobs TO salesmatter_engine;
GRANT SELECT, UPDATE ON app.workspace_limits TO salesmatter_engine;
GRANT SELECT, INSERT, UPDATE, DELETE ON app.job_workers TO salesmatter_engine;
GRANT SELECT, DELETE ON app.changes TO salesmatter_engine;

-- These functions run as the owner, so each is closed to all roles but the one that needs it.
REVOKE ALL ON FUNCTION app.analyze_leads() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.analyze_leads() TO salesmatter_app;
REVOKE ALL ON FUNCTION app.unknown_sends() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.unknown_sends() TO salesmatter_engine;
REVOKE ALL ON FUNCTION app.enqueue_slot(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.enqueue_slot(text, timestamptz) TO salesmatter_engine;
