-- Background work: the queue, the jobs that left it, the workers and the rates.

-- One job: the row is its place in the queue and what the API shows of it.
CREATE TABLE app.scheduled_jobs (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  job_type text NOT NULL,
  payload jsonb NOT NULL DEFAULT '{}',
  scheduled_for timestamptz NOT NULL,
  run_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'pending',
  attempts int NOT NULL DEFAULT 0,
  max_attempts int NOT NULL DEFAULT 5,
  last_error text,
  dedupe_key text,
  locked_by uuid,
  started_at timestamptz,
  completed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- True when the start is counted against the workspace's rate already: `run_at` is then its slot.
  paced boolean NOT NULL DEFAULT false,
  CONSTRAINT pk_scheduled_jobs PRIMARY KEY (id),
  CONSTRAINT fk_scheduled_jobs_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT ck_scheduled_jobs_status CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
  CONSTRAINT ck_scheduled_jobs_max_attempts CHECK (max_attempts > 0)
)
-- Every job is updated several times: free space on each page keeps the new version of a row there, and vacuum runs
-- early and without pauses.
WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE UNIQUE INDEX uq_scheduled_jobs_dedupe_key ON app.scheduled_jobs (workspace_id, job_type, dedupe_key);
CREATE INDEX ix_scheduled_jobs_workspace_id_id ON app.scheduled_jobs (workspace_id, id);
CREATE INDEX ix_scheduled_jobs_due ON app.scheduled_jobs (job_type, run_at, id) WHERE status = 'pending';
-- The queue of each workspace, for a fair share when many jobs are due.
CREATE INDEX ix_scheduled_jobs_lines ON app.scheduled_jobs (job_type, workspace_id, run_at, id)
  WHERE status = 'pending';
-- Not on locked_by: with such an index the plan for completing many jobs was quadratic.
CREATE INDEX ix_scheduled_jobs_running ON app.scheduled_jobs (id) WHERE status = 'running';
CREATE INDEX ix_scheduled_jobs_failed ON app.scheduled_jobs (completed_at) WHERE status = 'failed';
-- Few among very many jobs, and the ones that people look for to retry.
CREATE INDEX ix_scheduled_jobs_ended_badly ON app.scheduled_jobs (workspace_id, id)
  WHERE status IN ('failed', 'cancelled');

-- What the API showed of a job that was completed or cancelled, after it left the queue.
CREATE TABLE app.archived_jobs (
  workspace_id uuid NOT NULL,
  id uuid NOT NULL,
  job_type text NOT NULL,
  -- The ids of what the job was about, and nothing else.
  payload jsonb NOT NULL,
  scheduled_for timestamptz NOT NULL,
  run_at timestamptz NOT NULL,
  status text NOT NULL,
  attempts int NOT NULL,
  max_attempts int NOT NULL,
  last_error text,
  started_at timestamptz,
  created_at timestamptz NOT NULL,
  completed_at timestamptz NOT NULL,
  CONSTRAINT pk_archived_jobs PRIMARY KEY (workspace_id, id),
  CONSTRAINT fk_archived_jobs_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT ck_archived_jobs_status CHECK (status IN ('completed', 'cancelled'))
);

-- A running worker process, and its last heartbeat.
CREATE TABLE app.job_workers (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  host text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  beat_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_job_workers PRIMARY KEY (id)
);

-- The rate at which jobs of one type may start in one workspace: one each `interval`, `burst` at once (GCRA).
CREATE TABLE app.workspace_limits (
  workspace_id uuid NOT NULL,
  job_type text NOT NULL,
  "interval" interval NOT NULL,
  burst int NOT NULL DEFAULT 1,
  theoretical_arrival_at timestamptz,
  CONSTRAINT pk_workspace_limits PRIMARY KEY (workspace_id, job_type),
  CONSTRAINT fk_workspace_limits_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT ck_workspace_limits_burst CHECK (burst > 0)
);
-- Every claim asks whether a job type has rates at all.
CREATE INDEX ix_workspace_limits_job_type ON app.workspace_limits (job_type);
