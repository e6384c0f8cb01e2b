-- The provider record: what Everlytic tells us, as it tells it.

-- One webhook request, stored before it is answered and applied afterwards.
CREATE TABLE everlytic.webhook_deliveries (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  content_type text NOT NULL,
  body bytea NOT NULL,
  received_at timestamptz NOT NULL,
  applied_at timestamptz,
  error text,
  CONSTRAINT pk_webhook_deliveries PRIMARY KEY (id),
  CONSTRAINT fk_webhook_deliveries_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);
CREATE INDEX ix_webhook_deliveries_unapplied ON everlytic.webhook_deliveries (workspace_id, id)
  WHERE applied_at IS NULL;

-- A message as Everlytic's transaction list showed it last, by Everlytic's own id.
CREATE TABLE everlytic.transactions (
  workspace_id uuid NOT NULL,
  transaction_id text NOT NULL,
  message_id text,
  group_name text,
  recipient text,
  send_status text,
  sent_at timestamptz,
  opens int,
  link_clicks int,
  bounce_type text,
  bounce_reason text,
  raw jsonb NOT NULL,
  synced_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_transactions PRIMARY KEY (workspace_id, transaction_id),
  CONSTRAINT fk_transactions_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);
CREATE INDEX ix_transactions_workspace_id_message_id ON everlytic.transactions (workspace_id, message_id);
CREATE INDEX ix_transactions_workspace_id_group_name ON everlytic.transactions (workspace_id, group_name);

-- An event as Everlytic's callback list shows it, under the key that its webhook also has.
CREATE TABLE everlytic.callback_events (
  workspace_id uuid NOT NULL,
  event_key text NOT NULL,
  type text NOT NULL,
  transaction_id text,
  message_id text,
  recipient text,
  group_name text,
  occurred_at timestamptz NOT NULL,
  raw jsonb NOT NULL,
  synced_at timestamptz NOT NULL DEFAULT now(),
  applied_at timestamptz,
  error text,
  CONSTRAINT pk_callback_events PRIMARY KEY (workspace_id, event_key),
  CONSTRAINT fk_callback_events_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);
CREATE INDEX ix_callback_events_unapplied ON everlytic.callback_events (workspace_id) WHERE applied_at IS NULL;
-- The events that arrived recently are counted every few minutes; rows are stored in the order of their arrival.
CREATE INDEX ix_callback_events_synced_at ON everlytic.callback_events USING brin (synced_at);

-- The report of one bulk email on one day; a later sync of the same day replaces it.
CREATE TABLE everlytic.campaign_reports (
  workspace_id uuid NOT NULL,
  email_id text NOT NULL,
  reported_on date NOT NULL,
  name text NOT NULL,
  raw jsonb NOT NULL,
  synced_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_campaign_reports PRIMARY KEY (workspace_id, email_id, reported_on),
  CONSTRAINT fk_campaign_reports_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);

-- Until when a resource of one workspace was polled, and how the last poll ended.
CREATE TABLE everlytic.sync_cursors (
  workspace_id uuid NOT NULL,
  resource text NOT NULL,
  synced_through timestamptz,
  row_count int NOT NULL DEFAULT 0,
  error text,
  synced_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_sync_cursors PRIMARY KEY (workspace_id, resource),
  CONSTRAINT fk_sync_cursors_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);
