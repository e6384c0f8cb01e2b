-- Who may sign in: accounts, their users, their API keys, and the answers stored for repeated requests.

-- A customer: the owner of users, keys and workspaces.
CREATE TABLE app.accounts (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_accounts PRIMARY KEY (id)
);

-- A person of an account.
CREATE TABLE app.users (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  account_id uuid NOT NULL,
  email text NOT NULL,
  name text NOT NULL,
  role text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- The subject of an OpenID Connect token, hashed together with the issuer's name; set at the first sign-in.
  subject_hash text,
  CONSTRAINT pk_users PRIMARY KEY (id),
  CONSTRAINT uq_users_subject_hash UNIQUE (subject_hash),
  CONSTRAINT fk_users_account_id FOREIGN KEY (account_id) REFERENCES app.accounts (id) ON DELETE CASCADE,
  CONSTRAINT ck_users_role CHECK (role IN ('admin', 'member'))
);
CREATE UNIQUE INDEX uq_users_account_id_email ON app.users (account_id, lower(email));

-- A key by which a program authenticates. It is shown once; only its SHA-256 is stored.
CREATE TABLE app.api_keys (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  account_id uuid NOT NULL,
  user_id uuid NOT NULL,
  name text NOT NULL,
  prefix text NOT NULL,
  secret_hash text NOT NULL,
  last_used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_api_keys PRIMARY KEY (id),
  CONSTRAINT uq_api_keys_secret_hash UNIQUE (secret_hash),
  CONSTRAINT fk_api_keys_account_id FOREIGN KEY (account_id) REFERENCES app.accounts (id) ON DELETE CASCADE,
  CONSTRAINT fk_api_keys_user_id FOREIGN KEY (user_id) REFERENCES app.users (id) ON DELETE CASCADE
);
CREATE INDEX ix_api_keys_account_id ON app.api_keys (account_id);
CREATE INDEX ix_api_keys_user_id ON app.api_keys (user_id);

-- A POST that a user made with an Idempotency-Key, and its answer; stored for a day.
CREATE TABLE app.idempotency_keys (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  account_id uuid NOT NULL,
  user_id uuid NOT NULL,
  key text NOT NULL,
  -- The digest of the request: method, path, query and body.
  fingerprint text NOT NULL,
  -- The answer.
  status int,
  headers jsonb,
  encrypted_body text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_idempotency_keys PRIMARY KEY (id),
  CONSTRAINT fk_idempotency_keys_account_id FOREIGN KEY (account_id) REFERENCES app.accounts (id) ON DELETE CASCADE,
  CONSTRAINT fk_idempotency_keys_user_id FOREIGN KEY (user_id) REFERENCES app.users (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_idempotency_keys_user_id_key ON app.idempotency_keys (user_id, key);
CREATE INDEX ix_idempotency_keys_account_id_created_at ON app.idempotency_keys (account_id, created_at);
