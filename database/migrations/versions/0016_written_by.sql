-- A row may commit long after the time that it carries, so a reader that continues from the newest time misses it. A reader
-- that continues from the oldest transaction that was open at its last look does not. Older rows stay null: the next
-- full build reads them.
ALTER TABLE app.send_attempts ADD COLUMN written_by xid8;
ALTER TABLE app.send_attempts ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();
ALTER TABLE app.email_events ADD COLUMN written_by xid8;
ALTER TABLE app.email_events ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();
ALTER TABLE app.replies ADD COLUMN written_by xid8;
ALTER TABLE app.replies ALTER COLUMN written_by SET DEFAULT pg_current_xact_id();

CREATE INDEX ix_send_attempts_written_by ON app.send_attempts (written_by);
CREATE INDEX ix_email_events_written_by ON app.email_events (written_by);
CREATE INDEX ix_replies_written_by ON app.replies (written_by);
DROP INDEX app.ix_replies_updated_at;

-- Sets `written_by` to the transaction of an update, whatever the statement says.
CREATE FUNCTION app.stamp_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.written_by := pg_current_xact_id();
  RETURN NEW;
END
$$;
CREATE TRIGGER stamp_transaction BEFORE UPDATE ON app.send_attempts
  FOR EACH ROW EXECUTE FUNCTION app.stamp_transaction();
CREATE TRIGGER stamp_transaction BEFORE UPDATE ON app.email_events
  FOR EACH ROW EXECUTE FUNCTION app.stamp_transaction();
CREATE TRIGGER stamp_transaction BEFORE UPDATE ON app.replies
  FOR EACH ROW EXECUTE FUNCTION app.stamp_transaction();
