-- A message id alone is no identity: gateways reuse it. Message id, sender and words together are one; the service
-- computes the same hash for new messages (api/inbox/inbound/repository.py).
ALTER TABLE app.replies
  ADD COLUMN identity_hash text NOT NULL DEFAULT app.uuidv7()::text,
  -- What a mail system or a mail program reports: its kind, and what it says about each recipient.
  ADD COLUMN report jsonb,
  -- Why a person is asked, if not for an uncertain intent.
  ADD COLUMN review_reason text;

-- The replies stay as old as they are, for live queries and for dbt.
ALTER TABLE app.replies DISABLE TRIGGER USER;
UPDATE app.replies
   SET identity_hash = encode(sha256(convert_to(
         message_id || chr(10) || from_email || chr(10) || regexp_replace(subject || text, '\s+', '', 'g'), 'UTF8')), 'hex');
ALTER TABLE app.replies ENABLE TRIGGER USER;

DROP INDEX app.uq_replies_workspace_id_message_id;
CREATE UNIQUE INDEX uq_replies_workspace_id_identity_hash ON app.replies (workspace_id, identity_hash);
