-- The step that follows the one just sent, and when it is sent.
UPDATE app.lead_enrollments AS enrollment
   SET current_step_order = next_step.step_order, next_run_at = next_step.send_at
  FROM unnest(CAST(:ids AS uuid[]), CAST(:step_orders AS int[]), CAST(:send_ats AS timestamptz[]))
    AS next_step (id, step_order, send_at)
 WHERE enrollment.id = next_step.id AND enrollment.workspace_id = :workspace_id
