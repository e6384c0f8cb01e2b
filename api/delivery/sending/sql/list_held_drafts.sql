-- A job that was given to another worker has a higher number of attempts, so the run before it holds no claim.
SELECT attempt.draft_id
  FROM unnest(CAST(:draft_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:attempts AS int[]))
    AS run (draft_id, job_id, attempt)
  JOIN app.send_attempts AS attempt ON attempt.draft_id = run.draft_id AND attempt.job_id = run.job_id
  JOIN app.scheduled_jobs AS job ON job.id = run.job_id AND job.attempts = run.attempt
 WHERE attempt.workspace_id = :workspace_id AND attempt.outcome = 'claimed'
   AND job.workspace_id = :workspace_id AND job.status = 'running'
