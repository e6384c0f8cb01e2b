-- The bounces and complaints of active sequences, by their mails sent since each was activated.
-- The lateral joins read the latest mails of each sequence by index, and only the events of those mails. Complaints are
-- rare, so they are found by their own index.
WITH complaint AS (
  SELECT draft.sequence_id, draft.id AS draft_id, draft.sent_at,
         CAST(min(event.occurred_at) AT TIME ZONE :timezone AS date) AS day
    FROM app.email_events AS event
    JOIN app.email_drafts AS draft ON draft.id = event.draft_id
   WHERE event.workspace_id = :workspace_id AND event.type = 'complained'
     AND draft.sequence_id = ANY(CAST(:sequence_ids AS uuid[])) AND draft.sent_at IS NOT NULL
   GROUP BY draft.id
)
SELECT sequence.id, bounces.sent AS bounce_sent, bounces.bounced,
       complaints.sent AS complaint_sent, complaints.complained,
       worst_day.day, coalesce(worst_day.complained, 0) AS day_complained
  FROM app.sequences AS sequence
 CROSS JOIN LATERAL (
   -- A bounce counts as in analytics: it is about the address and no person replied, or no later event shows that the
   -- mail was delivered.
   SELECT count(*) AS sent, count(*) FILTER (WHERE feedback.has_bounced) AS bounced
     FROM (SELECT draft.id FROM app.email_drafts AS draft
            WHERE draft.sequence_id = sequence.id AND draft.sent_at IS NOT NULL
              AND draft.sent_at > coalesce(sequence.activated_at, '-infinity')
            ORDER BY draft.sent_at DESC
            LIMIT :bounce_sample) AS mail
     LEFT JOIN LATERAL (
      SELECT bool_or(event.type = 'bounced' AND event.bounce_kind = 'address')
               AND NOT EXISTS (SELECT 1 FROM app.replies AS reply
                                WHERE reply.draft_id = mail.id AND NOT reply.is_automatic)
             OR max(event.occurred_at) FILTER (WHERE event.type = 'bounced') >= coalesce(
                  max(event.occurred_at) FILTER (
                    WHERE event.type IN ('delivered', 'opened', 'clicked', 'unsubscribed')),
                  '-infinity') AS has_bounced
        FROM app.email_events AS event
       WHERE event.draft_id = mail.id) AS feedback ON true) AS bounces
 CROSS JOIN LATERAL (
   SELECT count(*) AS sent, count(complaint.draft_id) AS complained
     FROM (SELECT draft.id FROM app.email_drafts AS draft
            WHERE draft.sequence_id = sequence.id AND draft.sent_at IS NOT NULL
              AND draft.sent_at > coalesce(sequence.activated_at, '-infinity')
            ORDER BY draft.sent_at DESC
            LIMIT :complaint_sample) AS mail
     LEFT JOIN complaint ON complaint.draft_id = mail.id) AS complaints
  LEFT JOIN LATERAL (
   SELECT complaint.day, count(*) AS complained
     FROM complaint
    WHERE complaint.sequence_id = sequence.id
      AND complaint.sent_at > coalesce(sequence.activated_at, '-infinity')
    GROUP BY complaint.day
    ORDER BY count(*) DESC, complaint.day DESC
    LIMIT 1) AS worst_day ON true
 WHERE sequence.workspace_id = :workspace_id AND sequence.id = ANY(CAST(:sequence_ids AS uuid[]))
   AND sequence.status = 'Active' AND sequence.deleted_at IS NULL
