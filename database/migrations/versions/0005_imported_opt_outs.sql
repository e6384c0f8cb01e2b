-- What a file says about mailing: a row with an address that must not be mailed becomes a suppression, not a lead.

-- The number of such rows.
ALTER TABLE app.lead_imports ADD COLUMN opted_out_count int NOT NULL DEFAULT 0;

-- Why the file says, in any row with the address, not to mail it.
ALTER TABLE app.lead_import_rows
  ADD COLUMN opt_out text,
  ADD CONSTRAINT ck_lead_import_rows_opt_out
    CHECK (opt_out IN ('unsubscribed', 'hard_bounce', 'complaint', 'manual', 'domain'));
