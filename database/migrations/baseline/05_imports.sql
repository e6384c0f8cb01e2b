-- Files that become leads: the file, its rows, what a commit changed, and the column mappings that people chose.

-- One uploaded file, what its columns are taken for, and the result for its rows.
CREATE TABLE app.lead_imports (
  id uuid NOT NULL DEFAULT app.uuidv7(),
  workspace_id uuid NOT NULL,
  -- The list that the leads join; created when the commit starts.
  list_id uuid,
  file_name text NOT NULL,
  state text NOT NULL,
  headers jsonb NOT NULL,
  mapping jsonb NOT NULL,
  duplicate_policy text NOT NULL DEFAULT 'fill',
  -- Rows in the file, and the result of the preview or the commit for them. A count is null until it is known.
  row_count int NOT NULL DEFAULT 0,
  new_count int,
  updated_count int,
  suppressed_count int,
  invalid_count int,
  error text,
  committed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  list_name text NOT NULL,
  -- Why no model was asked for the columns that the rules left open.
  fallback_reason text,
  -- Progress of the commit or the undo: the rows that are done, and the block to go on with.
  processed_count int NOT NULL DEFAULT 0,
  next_block int NOT NULL DEFAULT 0,
  -- The id of the lead that line 0 would become; app.imported_lead_id() derives the ids of all lines from it.
  first_lead_id uuid,
  undone_at timestamptz,
  -- Until when the file is kept and the commit can be undone.
  expires_at timestamptz NOT NULL,
  -- Rows whose address stands in the file already, or belongs to a lead already.
  duplicate_in_file_count int,
  duplicate_in_workspace_count int,
  -- What an undo did with the leads of the import.
  removed_count int,
  restored_count int,
  kept_count int,
  CONSTRAINT pk_lead_imports PRIMARY KEY (id),
  CONSTRAINT fk_lead_imports_workspace_id FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE,
  CONSTRAINT fk_lead_imports_list_id FOREIGN KEY (list_id) REFERENCES app.lead_lists (id) ON DELETE SET NULL,
  CONSTRAINT ck_lead_imports_state
    CHECK (state IN ('mapped', 'committing', 'committed', 'failed', 'undoing', 'undone')),
  CONSTRAINT ck_lead_imports_duplicate_policy CHECK (duplicate_policy IN ('skip', 'fill', 'overwrite'))
);
CREATE INDEX ix_lead_imports_workspace_id_id ON app.lead_imports (workspace_id, id);

-- Some thousand rows of a file as they were read, compressed together.
CREATE TABLE app.lead_import_blocks (
  workspace_id uuid NOT NULL,
  import_id uuid NOT NULL,
  number int NOT NULL,
  first_line int NOT NULL,
  last_line int NOT NULL,
  row_count int NOT NULL,
  content bytea NOT NULL,
  CONSTRAINT pk_lead_import_blocks PRIMARY KEY (workspace_id, import_id, number),
  CONSTRAINT fk_lead_import_blocks_import_id
    FOREIGN KEY (import_id) REFERENCES app.lead_imports (id) ON DELETE CASCADE
);
-- The content is compressed already, so Postgres does not try to.
ALTER TABLE app.lead_import_blocks ALTER COLUMN content SET STORAGE EXTERNAL;

-- The next two tables have no foreign key to their import: checking it for a million rows takes longer than writing
-- them. The trigger forget_import deletes their rows with the import instead.

-- One row of a file: its address, or why the row cannot be used.
CREATE TABLE app.lead_import_rows (
  workspace_id uuid NOT NULL,
  import_id uuid NOT NULL,
  -- Where the row begins in the file, from 1.
  line_number int NOT NULL,
  email text,
  problem text,
  -- The first line of the file with the same address.
  first_line int,
  CONSTRAINT pk_lead_import_rows PRIMARY KEY (workspace_id, import_id, line_number),
  CONSTRAINT ck_lead_import_rows_line_number CHECK (line_number > 0),
  CONSTRAINT ck_lead_import_rows_problem CHECK (email IS NULL OR problem IS NULL)
);

-- What a commit changed in an existing lead; or a lead that an undo did not change, and why.
CREATE TABLE app.lead_import_changes (
  workspace_id uuid NOT NULL,
  import_id uuid NOT NULL,
  line_number int NOT NULL,
  lead_id uuid NOT NULL,
  -- The lead's fields before the commit; null for a lead that the import created.
  before jsonb,
  -- The lead's `updated_at` after the commit: another value means that the lead was changed since.
  changed_at timestamptz NOT NULL,
  kept_because text,
  CONSTRAINT pk_lead_import_changes PRIMARY KEY (workspace_id, import_id, line_number),
  CONSTRAINT ck_lead_import_changes_kept_because CHECK (kept_because IN ('changed', 'mailed'))
);

-- The mapping that a person chose for the columns of a file, for the next file with the same headers.
CREATE TABLE app.lead_import_mappings (
  workspace_id uuid NOT NULL,
  headers_hash text NOT NULL,
  columns jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT pk_lead_import_mappings PRIMARY KEY (workspace_id, headers_hash),
  CONSTRAINT fk_lead_import_mappings_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);
