-- The triggers on rows; those on statements belong to the change log.

-- Sets `updated_at` to the database's clock, whatever the statement says.
CREATE FUNCTION app.touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

-- Every table with `updated_at` has the trigger that sets it.
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.accounts
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.users
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.workspaces
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.everlytic_connections
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.lead_lists
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.leads
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.lead_imports
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.lead_import_mappings
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.sequences
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.sequence_steps
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.lead_enrollments
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.email_drafts
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.replies
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.mailboxes
  FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at();

-- Deletes the rows of an import with it, in place of foreign keys, which would cost too much on a million rows.
CREATE FUNCTION app.forget_import() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM app.lead_import_rows WHERE workspace_id = OLD.workspace_id AND import_id = OLD.id;
  DELETE FROM app.lead_import_changes WHERE workspace_id = OLD.workspace_id AND import_id = OLD.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER forget_import AFTER DELETE ON app.lead_imports FOR EACH ROW EXECUTE FUNCTION app.forget_import();
