"""What became of each email, by our tables and by the provider's own record, and what of it is wrong."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.outreach import Outreach
from database.roles import connect
from salesmatter.stack import Database

SHOWN = 5

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
# An unknown outcome has evidence when it says why it is unknown, and the provider's list was asked for it in vain.
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
# Who goes on must have a mail to wait for, and who is through has had all.
_LEFT_BEHIND = """
SELECT concat_ws(' ', 'enrollment', enrollment.id, enrollment.status, 'with', string_agg(draft.status, ', '))
  FROM app.lead_enrollments AS enrollment JOIN app.email_drafts AS draft ON draft.enrollment_id = enrollment.id
 WHERE enrollment.workspace_id = %s
 GROUP BY enrollment.id
HAVING enrollment.status = 'active' AND bool_and(draft.status = 'sent')
    OR enrollment.status = 'completed' AND (count(*) < %s OR bool_or(draft.status <> 'sent'))
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many emails came to what, and what is wrong, a sentence about each case."""

    emails: int
    accepted: int
    outcomes: Mapping[str, int]
    wrong: Mapping[str, Sequence[str]]

    def explained(self) -> Iterator[str]:
        """Yield what is wrong, the first cases of each kind."""
        for name, cases in self.wrong.items():
            for case in cases[:SHOWN]:
                yield f"{name}: {case}"


def open_work(database: Database, outreach: Outreach) -> bool:
    """Say whether anything of a workspace is still to be sent, recorded or looked up."""
    with connect(database.direct) as connection:
        row = connection.execute(_OPEN, {"workspace": outreach.id, "work": list(_WORK)}).fetchone()
    assert row is not None
    return bool(row[0])


def verdict(database: Database, outreach: Outreach, ledger: Sequence[str], steps: int) -> Verdict:
    """Hold a workspace's record against the message ids that the provider took, as often as it took them."""
    with connect(database.direct) as connection:
        rows = connection.execute(_EMAILS, [outreach.id]).fetchall()
        left_behind = [text for (text,) in connection.execute(_LEFT_BEHIND, [outreach.id, steps]).fetchall()]
    taken = Counter(ledger)
    cases = [(draft, _outcome(*facts[:3]), *facts[3:]) for draft, *facts in rows]
    known = {draft for draft, *_ in cases}
    return Verdict(
        emails=len(cases),
        accepted=len(taken),
        outcomes=dict(Counter(outcome for _, outcome, *_ in cases)),
        wrong={
            "accepted twice": [draft for draft, times in taken.items() if times > 1],
            "accepted and not ours": sorted(taken.keys() - known),
            "accepted, and not sent by our record": [
                text for draft, outcome, _, text in cases if draft in taken and outcome != "sent"
            ],
            "sent by our record, and not accepted": [
                text for draft, outcome, _, text in cases if draft not in taken and outcome == "sent"
            ],
            "unknown without evidence": [
                text for _, outcome, shown, text in cases if outcome == "unknown" and not shown
            ],
            "lost": [text for _, outcome, _, text in cases if outcome == "lost"] + left_behind,
        },
    )


def _outcome(status: str, outcome: str | None, enrollment: str) -> Any:
    """Return what an email came to; lost is what nobody will do anything about."""
    if status == "sent":
        return "sent" if outcome == "accepted" else "lost"
    if status == "failed":
        return "failed"
    if outcome is not None:
        return "unknown" if outcome == "unknown" else "lost"
    return "lost" if enrollment == "active" else "stopped"
