-- Only open attempts change, so a mail that several sources report as accepted is recorded once.
WITH accepted AS (
  UPDATE app.send_attempts AS attempt
     SET outcome = 'accepted', everlytic_transaction_id = acceptance.transaction_id, error = NULL,
         recorded_at = now()
    FROM unnest(CAST(:draft_ids AS uuid[]), CAST(:transaction_ids AS text[]))
      AS acceptance (draft_id, transaction_id)
   WHERE attempt.draft_id = acceptance.draft_id AND attempt.workspace_id = :workspace_id
     AND attempt.outcome IN ('claimed', 'unknown')
  RETURNING attempt.draft_id, acceptance.transaction_id
)
UPDATE app.email_drafts AS draft
   SET status = :sent, sent_at = :now, error_reason = NULL, everlytic_message_id = accepted.transaction_id
  FROM accepted
 WHERE draft.id = accepted.draft_id AND draft.status = ANY(CAST(:sources AS text[]))
RETURNING draft.id
