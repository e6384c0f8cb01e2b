-- The people to write to: lists, leads, the history of their status, and the addresses that must not be mailed.

-- A named set of leads, usually one imported file.
CREATE TABLE app.lead_lists (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  name text NOT NULL,
  source_filename text,
  lead_count int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  CONSTRAINT pk_lead_lists PRIMARY KEY (id),
  CONSTRAINT fk_lead_lists_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);
CREATE INDEX ix_lead_lists_workspace_id_id ON app.lead_lists (workspace_id, id);

-- A person who may be written to. The address is unique among the leads of a workspace that are not deleted.
CREATE TABLE app.leads (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  list_id uuid,
  first_name text NOT NULL DEFAULT '',
  last_name text NOT NULL DEFAULT '',
  email text NOT NULL,
  company text NOT NULL DEFAULT '',
  role text NOT NULL DEFAULT '',
  segment text,
  status text NOT NULL DEFAULT 'New',
  timezone text,
  custom_fields jsonb NOT NULL DEFAULT '{}',
  last_activity_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  -- When everything that identifies the person was removed permanently.
  erased_at timestamptz,
  CONSTRAINT pk_leads PRIMARY KEY (id),
  CONSTRAINT fk_leads_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_leads_list_id FOREIGN KEY (list_id) REFERENCES app.lead_lists (id) ON DELETE SET NULL,
  CONSTRAINT ck_leads_segment CHECK (segment IN ('Enterprise', 'Mid-Market', 'SMB')),
  CONSTRAINT ck_leads_status CHECK (status IN ('New', 'Contacted', 'Replied', 'Qualified', 'Unsubscribed')),
  -- The index below is on the column itself: row-level security prevents the use of an index on lower(email), because
  -- lower() is not leakproof.
  CONSTRAINT ck_leads_email CHECK (email = lower(email))
);
CREATE UNIQUE INDEX uq_leads_workspace_id_email ON app.leads (workspace_id, email) WHERE deleted_at IS NULL;
CREATE INDEX ix_leads_deleted ON app.leads (workspace_id, email) WHERE deleted_at IS NOT NULL;
CREATE INDEX ix_leads_workspace_id_id ON app.leads (workspace_id, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_leads_workspace_id_list_id_id ON app.leads (workspace_id, list_id, id) WHERE deleted_at IS NULL;
-- One for each order that a caller may ask for, and one for the filter that leaves few leads.
CREATE INDEX ix_leads_workspace_id_status_id ON app.leads (workspace_id, status, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_leads_workspace_id_updated_at_id ON app.leads (workspace_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_leads_workspace_id_last_name_id ON app.leads (workspace_id, last_name, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_leads_workspace_id_company_id ON app.leads (workspace_id, company, id) WHERE deleted_at IS NULL;
CREATE INDEX ix_leads_workspace_id_segment_id ON app.leads (workspace_id, segment, id)
  WHERE deleted_at IS NULL AND segment IS NOT NULL;

-- One change of a lead's status, written in the transaction that made it.
CREATE TABLE app.lead_events (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  lead_id uuid NOT NULL,
  from_status text NOT NULL,
  to_status text NOT NULL,
  event text NOT NULL,
  cause text NOT NULL,
  occurred_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_lead_events PRIMARY KEY (id),
  CONSTRAINT fk_lead_events_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_lead_events_lead_id FOREIGN KEY (lead_id) REFERENCES app.leads (id) ON DELETE CASCADE,
  CONSTRAINT ck_lead_events_event CHECK (event IN ('email_sent', 'reply_received', 'qualified', 'unsubscribed'))
);
CREATE INDEX ix_lead_events_workspace_id_lead_id_occurred_at ON app.lead_events (workspace_id, lead_id, occurred_at);

-- An address, or a whole domain, that must not be mailed. The hash stays when erasure removes the plain value.
CREATE TABLE app.suppressions (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  kind text NOT NULL,
  value text,
  value_hash text NOT NULL,
  reason text NOT NULL,
  source text NOT NULL,
  suppressed_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_suppressions PRIMARY KEY (id),
  CONSTRAINT fk_suppressions_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT ck_suppressions_kind CHECK (kind IN ('email', 'domain')),
  CONSTRAINT ck_suppressions_reason CHECK (reason IN ('unsubscribed', 'hard_bounce', 'complaint', 'manual', 'domain')),
  CONSTRAINT ck_suppressions_kind_of_reason CHECK ((reason = 'domain') = (kind = 'domain'))
);
CREATE UNIQUE INDEX uq_suppressions_workspace_id_value_hash ON app.suppressions (workspace_id, value_hash);
CREATE INDEX ix_suppressions_workspace_id_id ON app.suppressions (workspace_id, id);
CREATE INDEX ix_suppressions_workspace_id_reason_id ON app.suppressions (workspace_id, reason, id);

-- A suppression that was removed: what it was, who removed it, and why.
CREATE TABLE app.suppression_removals (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  kind text NOT NULL,
  value text,
  value_hash text NOT NULL,
  reason text NOT NULL,
  source text NOT NULL,
  suppressed_at timestamptz NOT NULL,
  removed_because text NOT NULL,
  -- The user. Without a foreign key, because the record outlives the user.
  removed_by uuid NOT NULL,
  removed_at timestamptz NOT NULL,
  CONSTRAINT pk_suppression_removals PRIMARY KEY (id),
  CONSTRAINT fk_suppression_removals_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT ck_suppression_removals_reason
    CHECK (reason IN ('unsubscribed', 'hard_bounce', 'complaint', 'manual', 'domain'))
);
CREATE INDEX ix_suppression_removals_workspace_id_id ON app.suppression_removals (workspace_id, id);
CREATE INDEX ix_suppression_removals_workspace_id_value_hash ON app.suppression_removals (workspace_id, value_hash);
