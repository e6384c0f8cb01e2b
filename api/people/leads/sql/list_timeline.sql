-- All events of a lead in one list, newest first. Each branch uses an index on the lead, its enrollments or its
-- drafts, so only the events of one lead are sorted. Three kinds have timestamps of the database's clock, which are
-- converted to business time.
WITH lead AS (
  SELECT lead.id, lead.created_at, list_id, account_id,
         ARRAY[app.suppression_hash(account_id, email),
               app.suppression_hash(account_id, '@' || split_part(email, '@', -1))] AS hashes,
         app.parent_domain_hashes(account_id, email) AS parent_hashes
    FROM app.leads AS lead JOIN app.workspaces AS workspace ON workspace.id = lead.workspace_id
   WHERE lead.workspace_id = :workspace_id AND lead.id = :lead_id
),
enrollment AS (
  SELECT id, sequence_id, enrolled_at FROM app.lead_enrollments
   WHERE workspace_id = :workspace_id AND lead_id = :lead_id
),
draft AS (
  SELECT id, subject, status, created_at, updated_at, sent_at,
         jsonb_build_object('draftId', id, 'enrollmentId', enrollment_id, 'sequenceId', sequence_id,
                            'stepOrder', step_order,
                            'errorReason', CASE WHEN status = 'failed' THEN error_reason END) AS data
    FROM app.email_drafts
   WHERE workspace_id = :workspace_id AND lead_id = :lead_id
),
removal AS (
  SELECT removal.* FROM app.suppression_removals AS removal, lead
   WHERE removal.account_id = lead.account_id
     AND (removal.workspace_id IS NULL OR removal.workspace_id = :workspace_id)
     AND (removal.value_hash = ANY(lead.hashes)
          OR removal.include_subdomains AND removal.value_hash = ANY(lead.parent_hashes))
),
happened AS (
  SELECT 'lead_created' AS kind, id, created_at AS at, CAST(NULL AS text) AS title,
         jsonb_build_object('listId', list_id) AS data
    FROM lead
  UNION ALL
  SELECT 'lead_moved', id, occurred_at, from_status || ' → ' || to_status,
         jsonb_build_object('from', from_status, 'to', to_status, 'event', event, 'cause', cause)
    FROM app.lead_events
   WHERE workspace_id = :workspace_id AND lead_id = :lead_id
  UNION ALL
  SELECT 'enrolled', enrollment.id, enrollment.enrolled_at, sequence.name,
         jsonb_build_object('enrollmentId', enrollment.id, 'sequenceId', sequence_id)
    FROM enrollment JOIN app.sequences AS sequence ON sequence.id = enrollment.sequence_id
  UNION ALL
  SELECT 'enrollment_moved', event.id, event.occurred_at, event.from_status || ' → ' || event.to_status,
         jsonb_build_object('enrollmentId', enrollment.id, 'sequenceId', enrollment.sequence_id,
                            'from', event.from_status, 'to', event.to_status, 'event', event.event,
                            'cause', event.cause)
    FROM enrollment
    JOIN app.enrollment_events AS event
      ON event.workspace_id = :workspace_id AND event.enrollment_id = enrollment.id
  UNION ALL
  SELECT 'draft_created', id, created_at, nullif(subject, ''), data FROM draft
  UNION ALL
  SELECT 'draft_sent', id, sent_at, nullif(subject, ''), data FROM draft WHERE sent_at IS NOT NULL
  UNION ALL
  SELECT 'draft_failed', id, updated_at, nullif(subject, ''), data FROM draft WHERE status = 'failed'
  UNION ALL
  SELECT 'email_' || event.type, event.id, event.occurred_at, nullif(draft.subject, ''),
         jsonb_build_object('eventId', event.id, 'draftId', draft.id, 'verdict', event.verdict,
                            'bounceType', event.data ->> 'bounce_type', 'bounceKind', event.bounce_kind,
                            'reportedAt', event.reported_at, 'url', event.data ->> 'link_url')
    FROM draft JOIN app.email_events AS event ON event.draft_id = draft.id
  UNION ALL
  SELECT 'reply_received', id, received_at, nullif(subject, ''),
         jsonb_build_object('replyId', id, 'draftId', draft_id, 'intent', intent, 'isAutomatic', is_automatic)
    FROM app.replies
   WHERE workspace_id = :workspace_id AND lead_id = :lead_id
  UNION ALL
  SELECT 'suppressed', suppression.id, suppressed_at, NULL,
         jsonb_build_object('kind', kind, 'reason', reason, 'source', source, 'scope',
                            CASE WHEN workspace_id IS NULL THEN 'account' ELSE 'workspace' END)
    FROM app.suppressions AS suppression, lead
   WHERE suppression.account_id = lead.account_id
     AND (suppression.workspace_id IS NULL OR suppression.workspace_id = :workspace_id)
     AND (suppression.value_hash = ANY(lead.hashes)
          OR suppression.include_subdomains AND suppression.value_hash = ANY(lead.parent_hashes))
  UNION ALL
  SELECT 'suppressed', id, suppressed_at, NULL,
         jsonb_build_object('kind', kind, 'reason', reason, 'source', source, 'scope',
                            CASE WHEN workspace_id IS NULL THEN 'account' ELSE 'workspace' END)
    FROM removal
  UNION ALL
  SELECT 'suppression_removed', id, removed_at, NULL,
         jsonb_build_object('kind', kind, 'reason', reason, 'removedBecause', removed_because,
                            'removedBy', removed_by, 'scope',
                            CASE WHEN workspace_id IS NULL THEN 'account' ELSE 'workspace' END)
    FROM removal
)
SELECT id, at, kind, title, data
  FROM (SELECT (kind || ':' || id) COLLATE "C" AS id, kind, title, data,
               CASE WHEN kind IN ('lead_created', 'draft_created', 'draft_failed')
                    THEN at + make_interval(
                           secs => :ahead_seconds + :more_speed * extract(epoch FROM at - :real_start)::float8)
                    ELSE at END AS at
          FROM happened) AS item
 WHERE CAST(:before_at AS timestamptz) IS NULL
    OR (at, id) < (CAST(:before_at AS timestamptz), CAST(:before_id AS text))
 ORDER BY at DESC, id DESC
 LIMIT :limit
