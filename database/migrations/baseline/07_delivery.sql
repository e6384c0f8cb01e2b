-- How mails leave and what the provider reports: send attempts, decisions about unknown ones, send slots, events.

-- The one permission to call the provider for a draft, committed before the call.
CREATE TABLE app.send_attempts (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  draft_id uuid NOT NULL,
  claimed_at timestamptz NOT NULL,
  outcome text NOT NULL DEFAULT 'claimed',
  everlytic_transaction_id text,
  error text,
  -- When the outcome became known, by the database's clock.
  recorded_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- How often Everlytic's transaction list was searched for a send of unknown outcome without finding it.
  look_ups int NOT NULL DEFAULT 0,
  looked_up_at timestamptz,
  -- The job that claimed. When the same job runs again, the run that claimed was lost.
  job_id uuid,
  CONSTRAINT pk_send_attempts PRIMARY KEY (id),
  CONSTRAINT fk_send_attempts_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_send_attempts_draft_id FOREIGN KEY (draft_id) REFERENCES app.email_drafts (id) ON DELETE CASCADE,
  CONSTRAINT ck_send_attempts_outcome CHECK (outcome IN ('claimed', 'accepted', 'rejected', 'unknown'))
);
-- At most one attempt for a draft, so that no mail is sent twice.
CREATE UNIQUE INDEX uq_send_attempts_draft_id ON app.send_attempts (draft_id);
CREATE INDEX ix_send_attempts_workspace_id_claimed_at ON app.send_attempts (workspace_id, claimed_at);
CREATE INDEX ix_send_attempts_recorded_at ON app.send_attempts (recorded_at);
CREATE INDEX ix_send_attempts_unknown ON app.send_attempts (claimed_at) WHERE outcome = 'unknown';
-- Some events name a mail by this id alone. An id that is too long for an index belongs to no mail.
CREATE INDEX ix_send_attempts_transactions ON app.send_attempts (workspace_id, everlytic_transaction_id)
  WHERE length(everlytic_transaction_id) <= 255;

-- What a person decided about a send whose outcome could not be found out, and what was known at that moment.
CREATE TABLE app.send_settlements (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  draft_id uuid NOT NULL,
  decision text NOT NULL,
  decided_by text NOT NULL,
  note text NOT NULL DEFAULT '',
  evidence jsonb NOT NULL DEFAULT '{}',
  decided_at timestamptz NOT NULL,
  CONSTRAINT pk_send_settlements PRIMARY KEY (id),
  CONSTRAINT fk_send_settlements_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_send_settlements_draft_id FOREIGN KEY (draft_id) REFERENCES app.email_drafts (id) ON DELETE CASCADE,
  CONSTRAINT ck_send_settlements_decision CHECK (decision IN ('sent', 'not_sent'))
);
CREATE INDEX ix_send_settlements_workspace_id_draft_id ON app.send_settlements (workspace_id, draft_id);

-- The send slot of a mail in a workspace that has a daily cap, a rate or a gap: reserved, or used.
CREATE TABLE app.send_slots (
  draft_id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  -- The recipient's domain, in lower case.
  domain text NOT NULL,
  -- When the mail is to leave or, if `made`, when it left.
  at timestamptz NOT NULL,
  made boolean NOT NULL DEFAULT false,
  CONSTRAINT pk_send_slots PRIMARY KEY (draft_id),
  CONSTRAINT fk_send_slots_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_send_slots_draft_id FOREIGN KEY (draft_id) REFERENCES app.email_drafts (id) ON DELETE CASCADE
);
CREATE INDEX ix_send_slots_workspace_id_at ON app.send_slots (workspace_id, at);

-- One event that the provider reported of a message, stored once.
CREATE TABLE app.email_events (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  draft_id uuid NOT NULL,
  everlytic_message_id text,
  provider_event_key text NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL DEFAULT '{}',
  -- Whether a person or a machine opened or clicked, and the rule that decided it.
  verdict text,
  verdict_rule text,
  occurred_at timestamptz NOT NULL,
  synced_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_email_events PRIMARY KEY (id),
  CONSTRAINT fk_email_events_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_email_events_draft_id FOREIGN KEY (draft_id) REFERENCES app.email_drafts (id) ON DELETE CASCADE,
  CONSTRAINT ck_email_events_type
    CHECK (type IN ('sent', 'delivered', 'opened', 'clicked', 'bounced', 'complained', 'unsubscribed')),
  CONSTRAINT ck_email_events_verdict CHECK (verdict IN ('human', 'machine'))
);
CREATE UNIQUE INDEX uq_email_events_provider_event_key ON app.email_events (workspace_id, provider_event_key);
CREATE INDEX ix_email_events_draft_id ON app.email_events (draft_id);
CREATE INDEX ix_email_events_synced_at ON app.email_events (synced_at);
CREATE INDEX ix_email_events_workspace_id_id ON app.email_events (workspace_id, id);
CREATE INDEX ix_email_events_workspace_id_occurred_at_id ON app.email_events (workspace_id, occurred_at, id);
-- The types that are rare and that people filter by; the others are found quickly in order of time.
CREATE INDEX ix_email_events_stops ON app.email_events (workspace_id, type, id)
  WHERE type IN ('bounced', 'complained', 'unsubscribed');
