-- What people answer: replies, corrections of their intent, and the mailboxes they are read from.

-- A message that was sent back, stored once by its Message-ID, with its intent.
CREATE TABLE app.replies (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  lead_id uuid,
  enrollment_id uuid,
  draft_id uuid,
  message_id text NOT NULL,
  from_email text NOT NULL,
  subject text NOT NULL DEFAULT '',
  text text NOT NULL DEFAULT '',
  headers jsonb NOT NULL DEFAULT '[]',
  -- What the classification found, how sure it is, and whether rules, a model or a person decided.
  intent text,
  is_automatic boolean,
  confidence double precision,
  decided_by text,
  received_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- The day on which a person who is away will be back, as the message says.
  return_date date,
  -- How a model classified the message.
  generation jsonb,
  -- True when neither rules nor a model were sure: a person is asked.
  needs_review boolean NOT NULL DEFAULT false,
  CONSTRAINT pk_replies PRIMARY KEY (id),
  CONSTRAINT fk_replies_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_replies_lead_id FOREIGN KEY (lead_id) REFERENCES app.leads (id) ON DELETE CASCADE,
  CONSTRAINT fk_replies_enrollment_id
    FOREIGN KEY (enrollment_id) REFERENCES app.lead_enrollments (id) ON DELETE CASCADE,
  CONSTRAINT fk_replies_draft_id FOREIGN KEY (draft_id) REFERENCES app.email_drafts (id) ON DELETE CASCADE,
  CONSTRAINT ck_replies_confidence CHECK (confidence BETWEEN 0 AND 1)
);
CREATE UNIQUE INDEX uq_replies_workspace_id_message_id ON app.replies (workspace_id, message_id);
CREATE INDEX ix_replies_lead_id ON app.replies (lead_id);
CREATE INDEX ix_replies_enrollment_id ON app.replies (enrollment_id);
CREATE INDEX ix_replies_draft_id ON app.replies (draft_id);
CREATE INDEX ix_replies_updated_at ON app.replies (updated_at);
CREATE INDEX ix_replies_workspace_id_received_at_id ON app.replies (workspace_id, received_at, id);
CREATE INDEX ix_replies_needs_review ON app.replies (workspace_id, id) WHERE needs_review;

-- What a person corrected in the intent of a reply, and what it was before.
CREATE TABLE app.reply_corrections (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  reply_id uuid NOT NULL,
  intent_before text,
  is_automatic_before boolean,
  confidence_before double precision,
  decided_by_before text,
  intent text NOT NULL,
  is_automatic boolean NOT NULL,
  return_date date,
  corrected_by text NOT NULL,
  corrected_at timestamptz NOT NULL,
  CONSTRAINT pk_reply_corrections PRIMARY KEY (id),
  CONSTRAINT fk_reply_corrections_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_reply_corrections_reply_id FOREIGN KEY (reply_id) REFERENCES app.replies (id) ON DELETE CASCADE
);
CREATE INDEX ix_reply_corrections_workspace_id_id ON app.reply_corrections (workspace_id, id);
CREATE INDEX ix_reply_corrections_reply_id ON app.reply_corrections (reply_id);

-- The IMAP folder of a workspace, and how far it was read.
CREATE TABLE app.mailboxes (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  host text NOT NULL,
  port int NOT NULL,
  security text NOT NULL,
  username text NOT NULL,
  encrypted_password text NOT NULL,
  folder text NOT NULL DEFAULT 'INBOX',
  -- The numbering that `last_uid` belongs to (RFC 3501): when the server reports another one, the folder is read anew.
  uid_validity bigint,
  -- The last message that was read.
  last_uid bigint NOT NULL DEFAULT '0',
  -- Messages that arrived before this day are never read.
  read_since date NOT NULL,
  polled_at timestamptz,
  -- How many polls in a row failed, and in how many in a row the server refused the credentials or the folder.
  failures int NOT NULL DEFAULT 0,
  refusals int NOT NULL DEFAULT 0,
  last_error text,
  -- Since when the mailbox is not read, because the server refuses the credentials or the folder.
  disabled_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_mailboxes PRIMARY KEY (id),
  CONSTRAINT uq_mailboxes_workspace_id UNIQUE (workspace_id),
  CONSTRAINT fk_mailboxes_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT ck_mailboxes_security CHECK (security IN ('tls', 'starttls', 'none')),
  CONSTRAINT ck_mailboxes_port CHECK (port BETWEEN 1 AND 65535)
);
