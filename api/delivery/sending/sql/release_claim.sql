-- Deletes an open claim and its used slot. What the claim said about the mail is stored, because a later provider event
-- can prove that the mail was sent after all.
WITH released AS (
  DELETE FROM app.send_attempts
   WHERE workspace_id = :workspace_id AND draft_id = :draft_id AND outcome = ANY(CAST(:open AS text[]))
     AND (CAST(:job_id AS uuid) IS NULL OR job_id = :job_id)
  RETURNING workspace_id, draft_id, outcome, claimed_at, recipient, recipient_hash, subject, template_version,
            tracks_opens, tracks_clicks
),
used_slot AS (
  DELETE FROM app.send_slots AS slot USING released WHERE slot.draft_id = released.draft_id AND slot.is_used
),
stored AS (
  INSERT INTO app.released_claims (workspace_id, draft_id, claimed_at, recipient, recipient_hash, subject,
                                   template_version, tracks_opens, tracks_clicks)
  SELECT workspace_id, draft_id, claimed_at, recipient, recipient_hash, subject, template_version, tracks_opens,
         tracks_clicks
    FROM released
  ON CONFLICT (draft_id) DO UPDATE
     SET claimed_at = excluded.claimed_at, recipient = excluded.recipient, recipient_hash = excluded.recipient_hash,
         subject = excluded.subject, template_version = excluded.template_version,
         tracks_opens = excluded.tracks_opens, tracks_clicks = excluded.tracks_clicks
)
SELECT outcome FROM released
