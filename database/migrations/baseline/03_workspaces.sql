-- Where a team works: workspaces with their settings, their connection to Everlytic, and their use of models.

-- A tenant: everything that a team imports, writes and sends, and the settings for it.
CREATE TABLE app.workspaces (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  account_id uuid NOT NULL,
  name text NOT NULL,
  -- Sender.
  default_from_name text NOT NULL,
  default_from_email text NOT NULL,
  postal_address text NOT NULL DEFAULT '',
  -- When mails leave. Weekdays count from Monday, which is 0.
  timezone text NOT NULL DEFAULT 'Africa/Johannesburg',
  window_start time NOT NULL DEFAULT '08:00',
  window_end time NOT NULL DEFAULT '17:00',
  sending_weekdays smallint[] NOT NULL DEFAULT '{0,1,2,3,4}',
  holidays_country text DEFAULT 'ZA',
  daily_cap int,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  -- Segments of imported leads: the number of employees from which a company is an enterprise or mid-market, and the
  -- segment of leads whose file does not tell it.
  enterprise_from int NOT NULL DEFAULT 1000,
  mid_market_from int NOT NULL DEFAULT 100,
  default_segment text,
  -- Ramp-up: on the day `ramp_start` at most `ramp_from` mails, on each sending day after it `ramp_step` more, up to
  -- `daily_cap`.
  ramp_start date,
  ramp_from int,
  ramp_step int,
  -- Rates: mails in a minute, and the seconds between two mails to one recipient domain.
  sends_per_minute int,
  domain_gap_seconds int,
  -- For how long a send of unknown outcome is looked up before a person is asked.
  unknown_wait_hours int NOT NULL DEFAULT 24,
  -- The rates of bounces and complaints that pause a sequence, and the number of its last mails they are taken from.
  guard_sample int NOT NULL DEFAULT 200,
  max_bounce_rate double precision DEFAULT '0.08',
  max_complaint_rate double precision DEFAULT '0.01',
  -- How the team sounds, in its own words; what a model writes follows it.
  voice text NOT NULL DEFAULT '',
  -- Where answers go instead of to the sender; each mail gets an address of its own below this one.
  reply_to_email text,
  -- The tokens that models may use in a day of the workspace's zone; beyond it rules and templates do the work.
  daily_token_budget int,
  CONSTRAINT pk_workspaces PRIMARY KEY (id),
  CONSTRAINT fk_workspaces_account_id FOREIGN KEY (account_id) REFERENCES app.accounts (id) ON DELETE CASCADE,
  CONSTRAINT ck_workspaces_window CHECK (window_start < window_end),
  CONSTRAINT ck_workspaces_sending_weekdays CHECK (cardinality(sending_weekdays) > 0),
  CONSTRAINT ck_workspaces_daily_cap CHECK (daily_cap > 0),
  CONSTRAINT ck_workspaces_segments CHECK (0 < mid_market_from AND mid_market_from < enterprise_from),
  CONSTRAINT ck_workspaces_default_segment CHECK (default_segment IN ('Enterprise', 'Mid-Market', 'SMB')),
  CONSTRAINT ck_workspaces_ramp CHECK (num_nonnulls(ramp_start, ramp_from, ramp_step) IN (0, 3)),
  CONSTRAINT ck_workspaces_ramp_to CHECK (ramp_start IS NULL OR daily_cap IS NOT NULL),
  CONSTRAINT ck_workspaces_ramp_rises CHECK (ramp_from > 0 AND ramp_step > 0),
  CONSTRAINT ck_workspaces_sends_per_minute CHECK (sends_per_minute > 0),
  CONSTRAINT ck_workspaces_domain_gap_seconds CHECK (domain_gap_seconds > 0),
  CONSTRAINT ck_workspaces_unknown_wait_hours CHECK (unknown_wait_hours > 0),
  CONSTRAINT ck_workspaces_guard_sample CHECK (guard_sample > 0),
  CONSTRAINT ck_workspaces_max_bounce_rate CHECK (max_bounce_rate BETWEEN 0 AND 1),
  CONSTRAINT ck_workspaces_max_complaint_rate CHECK (max_complaint_rate BETWEEN 0 AND 1),
  CONSTRAINT ck_workspaces_daily_token_budget CHECK (daily_token_budget >= 0)
);
CREATE INDEX ix_workspaces_account_id ON app.workspaces (account_id);

-- How a workspace reaches Everlytic, and how Everlytic's webhooks prove that they are meant for it.
CREATE TABLE app.everlytic_connections (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  transactional_url text NOT NULL,
  tenant_url text NOT NULL,
  username text NOT NULL,
  encrypted_key text NOT NULL,
  webhook_token_hash text NOT NULL,
  encrypted_webhook_password text NOT NULL,
  webhook_id text,
  disabled_at timestamptz,
  disabled_reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- How many calls in a row failed, and until when (business time) nothing is sent because of it.
  failures int NOT NULL DEFAULT 0,
  blocked_until timestamptz,
  blocked_reason text,
  CONSTRAINT pk_everlytic_connections PRIMARY KEY (id),
  CONSTRAINT uq_everlytic_connections_workspace_id UNIQUE (workspace_id),
  CONSTRAINT uq_everlytic_connections_webhook_token_hash UNIQUE (webhook_token_hash),
  CONSTRAINT fk_everlytic_connections_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);

-- What one workflow asked of one model on one day of the workspace's zone.
CREATE TABLE app.ai_usage (
  workspace_id uuid NOT NULL,
  day date NOT NULL,
  workflow text NOT NULL,
  model text NOT NULL,
  -- Calls that were made, those of them with an answer in the agreed form, and those that the day's budget refused.
  asked bigint NOT NULL DEFAULT '0',
  answered bigint NOT NULL DEFAULT '0',
  refused bigint NOT NULL DEFAULT '0',
  tokens_in bigint NOT NULL DEFAULT '0',
  tokens_out bigint NOT NULL DEFAULT '0',
  -- Calls that took tokens at an unknown price; `cost`, in USD, is that of the others.
  unpriced bigint NOT NULL DEFAULT '0',
  cost numeric NOT NULL DEFAULT '0',
  CONSTRAINT pk_ai_usage PRIMARY KEY (workspace_id, day, workflow, model),
  CONSTRAINT fk_ai_usage_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);

-- The tokens that a running call may still take of the day's budget. A reservation that is never settled expires.
CREATE TABLE app.ai_reservations (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  tokens int NOT NULL,
  -- By the database's clock.
  expires_at timestamptz NOT NULL,
  CONSTRAINT pk_ai_reservations PRIMARY KEY (id),
  CONSTRAINT fk_ai_reservations_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);
CREATE INDEX ix_ai_reservations_workspace_id ON app.ai_reservations (workspace_id);
