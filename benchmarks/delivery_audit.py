"""Compares the outcome of each email in our tables with the provider's own record."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.outreach import Outreach
from database.roles import connect
from salesmatter.stack import Database

SHOWN_CASES = 5

_WORK = ("send_email", "generate_draft", "apply_provider_events", "reconcile_send", "resume_sends")
_OPEN = """
SELECT EXISTS (SELECT FROM app.scheduled_jobs
                WHERE workspace_id = %(workspace)s AND job_type = ANY(%(work)s) AND status IN ('pending', 'running'))
    OR EXISTS (SELECT FROM app.send_attempts WHERE workspace_id = %(workspace)s AND outcome = 'claimed')
    OR EXISTS (SELECT FROM app.email_drafts AS draft
                 JOIN app.lead_enrollments AS enrollment ON enrollment.id = enrollment_id
                WHERE draft.workspace_id = %(workspace)s AND draft.status IN ('pending', 'drafted', 'reviewed')
                  AND enrollment.status = 'active'
                  AND NOT EXISTS (SELECT FROM app.send_attempts WHERE draft_id = draft.id))
"""
# An unknown outcome has evidence when it has an error and the provider's list was searched without a match.
_EMAILS = """
SELECT draft.id::text, draft.status, attempt.outcome, enrollment.status,
       attempt.error IS NOT NULL AND attempt.look_ups > 0,
       concat_ws(' ', draft.id, draft.status, attempt.outcome, 'of an enrollment that is', enrollment.status,
                 'looked up', attempt.look_ups, 'times:', attempt.error,
                 (SELECT string_agg(concat_ws(' ', job_type, job.status, attempts, last_error), '; ')
                    FROM app.scheduled_jobs AS job WHERE payload ->> 'draftId' = draft.id::text))
  FROM app.email_drafts AS draft
  JOIN app.lead_enrollments AS enrollment ON enrollment.id = draft.enrollment_id
  LEFT JOIN app.send_attempts AS attempt ON attempt.draft_id = draft.id
 WHERE draft.workspace_id = %s
"""
# An active enrollment must have an email that is not sent, and a completed one must have received all emails.
_LEFT_BEHIND = """
SELECT concat_ws(' ', 'enrollment', enrollment.id, enrollment.status, 'with', string_agg(draft.status, ', '))
  FROM app.lead_enrollments AS enrollment JOIN app.email_drafts AS draft ON draft.enrollment_id = enrollment.id
 WHERE enrollment.workspace_id = %s
 GROUP BY enrollment.id
HAVING enrollment.status = 'active' AND bool_and(draft.status = 'sent')
    OR enrollment.status = 'completed' AND (count(*) < %s OR bool_or(draft.status <> 'sent'))
"""


@dataclass(frozen=True, slots=True)
class DeliveryAudit:
    """The number of emails by outcome, and a sentence about each inconsistency."""

    emails: int
    accepted: int
    outcomes: Mapping[str, int]
    wrong: Mapping[str, Sequence[str]]

    def describe_errors(self) -> Iterator[str]:
        """Yield the first inconsistencies of each kind."""
        for name, cases in self.wrong.items():
            for case in cases[:SHOWN_CASES]:
                yield f"{name}: {case}"


def has_open_work(database: Database, outreach: Outreach) -> bool:
    """Return whether a workspace has pending sends, events or searches."""
    with connect(database.direct) as connection:
        row = connection.execute(_OPEN, {"workspace": outreach.id, "work": list(_WORK)}).fetchone()
    assert row is not None
    return bool(row[0])


def audit_deliveries(database: Database, outreach: Outreach, ledger: Sequence[str], steps: int) -> DeliveryAudit:
    """Compare the records of a workspace with the message ids that the provider accepted, once per acceptance."""
    with connect(database.direct) as connection:
        rows = connection.execute(_EMAILS, [outreach.id]).fetchall()
        left_behind = [text for (text,) in connection.execute(_LEFT_BEHIND, [outreach.id, steps]).fetchall()]
    accepted = Counter(ledger)
    cases = [(draft, _outcome(*facts[:3]), *facts[3:]) for draft, *facts in rows]
    known = {draft for draft, *_ in cases}
    return DeliveryAudit(
        emails=len(cases),
        accepted=len(accepted),
        outcomes=dict(Counter(outcome for _, outcome, *_ in cases)),
        wrong={
            "accepted twice": [draft for draft, times in accepted.items() if times > 1],
            "accepted and not ours": sorted(accepted.keys() - known),
            "accepted, and not sent by our record": [
                text for draft, outcome, _, text in cases if draft in accepted and outcome != "sent"
            ],
            "sent by our record, and not accepted": [
                text for draft, outcome, _, text in cases if draft not in accepted and outcome == "sent"
            ],
            "unknown without evidence": [
                text for _, outcome, has_evidence, text in cases if outcome == "unknown" and not has_evidence
            ],
            "lost": [text for _, outcome, _, text in cases if outcome == "lost"] + left_behind,
        },
    )


def _outcome(status: str, outcome: str | None, enrollment: str) -> Any:
    """Return the outcome of an email; a lost email is one that no job will process."""
    if status == "sent":
        return "sent" if outcome == "accepted" else "lost"
    if status == "failed":
        return "failed"
    if outcome is not None:
        return "unknown" if outcome == "unknown" else "lost"
    return "lost" if enrollment == "active" else "stopped"
