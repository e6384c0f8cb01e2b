-- What is written and when: sequences, their steps, the leads enrolled in them, and the drafts.

-- A series of emails to one lead.
CREATE TABLE app.sequences (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  name text NOT NULL,
  status text NOT NULL DEFAULT 'Draft',
  auto_approve boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  -- Why the sequence was paused, where no person paused it.
  pause_reason text,
  activated_at timestamptz,
  CONSTRAINT pk_sequences PRIMARY KEY (id),
  CONSTRAINT fk_sequences_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT ck_sequences_status CHECK (status IN ('Draft', 'Active', 'Paused'))
);
CREATE INDEX ix_sequences_workspace_id_id ON app.sequences (workspace_id, id);

-- One email of a sequence: the delay after the email before it, and its templates.
CREATE TABLE app.sequence_steps (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  sequence_id uuid NOT NULL,
  step_order int NOT NULL,
  delay_days int NOT NULL DEFAULT 0,
  delay_hours int NOT NULL DEFAULT 0,
  subject text NOT NULL DEFAULT '',
  body_template text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_sequence_steps PRIMARY KEY (id),
  -- Deferred, so that one statement can change the order.
  CONSTRAINT uq_sequence_steps_sequence_id_step_order
    UNIQUE (sequence_id, step_order) DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT fk_sequence_steps_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_sequence_steps_sequence_id FOREIGN KEY (sequence_id) REFERENCES app.sequences (id) ON DELETE CASCADE,
  CONSTRAINT ck_sequence_steps_step_order CHECK (step_order > 0),
  CONSTRAINT ck_sequence_steps_delay CHECK (delay_days >= 0 AND delay_hours >= 0)
);
CREATE INDEX ix_sequence_steps_workspace_id ON app.sequence_steps (workspace_id);

-- One lead in one sequence. A lead has at most one enrollment in a sequence that can still change its status.
CREATE TABLE app.lead_enrollments (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  -- The lead's workspace. Without a foreign key: the key of the lead implies it, and bulk enrollment would pay for it.
  workspace_id uuid NOT NULL,
  lead_id uuid NOT NULL,
  sequence_id uuid NOT NULL,
  current_step_order int NOT NULL,
  status text NOT NULL DEFAULT 'active',
  pause_reason text,
  resume_at timestamptz,
  next_run_at timestamptz,
  enrolled_at timestamptz NOT NULL,
  completed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_lead_enrollments PRIMARY KEY (id),
  CONSTRAINT fk_lead_enrollments_lead_id FOREIGN KEY (lead_id) REFERENCES app.leads (id) ON DELETE CASCADE,
  CONSTRAINT fk_lead_enrollments_sequence_id FOREIGN KEY (sequence_id) REFERENCES app.sequences (id) ON DELETE CASCADE,
  CONSTRAINT ck_lead_enrollments_status
    CHECK (status IN ('active', 'paused', 'completed', 'replied', 'unsubscribed'))
);
CREATE UNIQUE INDEX uq_lead_enrollments_lead_id_sequence_id ON app.lead_enrollments (lead_id, sequence_id)
  WHERE status IN ('active', 'paused', 'replied');
CREATE INDEX ix_lead_enrollments_lead_id ON app.lead_enrollments (lead_id);
CREATE INDEX ix_lead_enrollments_workspace_id_id ON app.lead_enrollments (workspace_id, id);
CREATE INDEX ix_lead_enrollments_workspace_id_sequence_id_status
  ON app.lead_enrollments (workspace_id, sequence_id, status);

-- One change of an enrollment's status, written in the transaction that made it.
CREATE TABLE app.enrollment_events (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  enrollment_id uuid NOT NULL,
  from_status text NOT NULL,
  to_status text NOT NULL,
  event text NOT NULL,
  cause text NOT NULL,
  occurred_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_enrollment_events PRIMARY KEY (id),
  CONSTRAINT fk_enrollment_events_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_enrollment_events_enrollment_id
    FOREIGN KEY (enrollment_id) REFERENCES app.lead_enrollments (id) ON DELETE CASCADE,
  CONSTRAINT ck_enrollment_events_event
    CHECK (event IN ('paused', 'hard_bounced', 'out_of_office', 'reply_received', 'all_steps_done', 'unsubscribed',
                     'resumed', 'stopped'))
);
CREATE INDEX ix_enrollment_events_workspace_id_enrollment_id_occurred_at
  ON app.enrollment_events (workspace_id, enrollment_id, occurred_at);

-- One email to one lead: a step of the sequence that is written, reviewed and sent.
CREATE TABLE app.email_drafts (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  -- Workspace, lead and sequence are those of the enrollment. Foreign keys of their own would make bulk enrollment a
  -- third slower.
  workspace_id uuid NOT NULL,
  lead_id uuid NOT NULL,
  enrollment_id uuid NOT NULL,
  sequence_id uuid NOT NULL,
  step_id uuid NOT NULL,
  step_order int NOT NULL,
  subject text NOT NULL DEFAULT '',
  body text NOT NULL DEFAULT '',
  body_html text NOT NULL DEFAULT '',
  status text NOT NULL DEFAULT 'pending',
  everlytic_message_id text,
  error_reason text,
  -- How a model wrote the text.
  generation jsonb,
  -- When the schedule wants the mail to leave; its job may run later.
  send_at timestamptz,
  sent_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- Subject and body before the first edit by a person.
  written jsonb,
  CONSTRAINT pk_email_drafts PRIMARY KEY (id),
  CONSTRAINT fk_email_drafts_enrollment_id
    FOREIGN KEY (enrollment_id) REFERENCES app.lead_enrollments (id) ON DELETE CASCADE,
  -- Without ON DELETE: a step that has drafts cannot be deleted.
  CONSTRAINT fk_email_drafts_step_id FOREIGN KEY (step_id) REFERENCES app.sequence_steps (id),
  CONSTRAINT ck_email_drafts_status CHECK (status IN ('pending', 'drafted', 'reviewed', 'sent', 'failed'))
);
CREATE UNIQUE INDEX uq_email_drafts_enrollment_id_step_id ON app.email_drafts (enrollment_id, step_id);
CREATE INDEX ix_email_drafts_lead_id ON app.email_drafts (lead_id);
CREATE INDEX ix_email_drafts_workspace_id_status_id ON app.email_drafts (workspace_id, status, id);
CREATE INDEX ix_email_drafts_workspace_id_sequence_id_status ON app.email_drafts (workspace_id, sequence_id, status);
CREATE INDEX ix_email_drafts_sent ON app.email_drafts (sequence_id, sent_at) WHERE sent_at IS NOT NULL;
