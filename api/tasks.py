"""The list of all tasks of the worker: a job type, its function, and how many run at once."""

from datetime import timedelta

from api.accounts.workspaces.tasks import register_webhook, wake_sends
from api.delivery.events.tasks import apply_provider_events, send_unsubscribe_link, sync_analytics
from api.delivery.sending.tasks import resume_sends, send_email, stop_leads
from api.delivery.unresolved_sends.tasks import reconcile_send, sweep_sends
from api.http.resources import Services
from api.imports.tasks import commit_import, expire_import, undo_import
from api.inbox.mailbox.tasks import poll_mailbox
from api.inbox.replies.tasks import classify_reply, resume_enrollment, score_reply
from api.jobs.engine import Task
from api.outreach.drafts.tasks import generate_draft, score_draft
from api.people.erasure.tasks import erase_traces
from api.settings import ApiSettings
from domain import job_types

SENT_PER_CALL = 4
"""Concurrent `send_email` jobs per concurrent call: for one job in a call, three record their result or wait for it."""

LANE_PER_CALL = 2
"""Concurrent jobs per concurrent other call to a provider: the others wait for a place."""


def tasks(settings: ApiSettings) -> list[Task[Services]]:
    """Return the tasks of a worker, one lane per job type."""
    return [
        Task(job_types.SEND_EMAIL, send_email, SENT_PER_CALL * settings.send_concurrency, on_lost="verify"),
        Task(job_types.GENERATE_DRAFT, generate_draft, settings.draft_concurrency),
        Task(job_types.SCORE_DRAFT, score_draft, concurrency=2),
        Task(job_types.COMMIT_IMPORT, commit_import, concurrency=2, on_lost="verify"),
        Task(job_types.UNDO_IMPORT, undo_import, concurrency=2, on_lost="verify"),
        Task(job_types.EXPIRE_IMPORT, expire_import, concurrency=1),
        Task(job_types.APPLY_PROVIDER_EVENTS, apply_provider_events, concurrency=2),
        Task(job_types.SYNC_ANALYTICS, sync_analytics, concurrency=2),
        Task(job_types.CLASSIFY_REPLY, classify_reply, concurrency=4),
        Task(job_types.SCORE_REPLY, score_reply, concurrency=2),
        Task(job_types.POLL_MAILBOX, poll_mailbox, LANE_PER_CALL * settings.mailbox_concurrency, on_lost="verify"),
        Task(job_types.RECONCILE_SEND, reconcile_send, LANE_PER_CALL * settings.lookup_concurrency, on_lost="verify"),
        Task(job_types.SWEEP_SENDS, sweep_sends, concurrency=1, every=timedelta(hours=1)),
        Task(job_types.SEND_UNSUBSCRIBE_LINK, send_unsubscribe_link, LANE_PER_CALL * settings.lookup_concurrency),
        Task(job_types.RESUME_SENDS, resume_sends, concurrency=2),
        Task(job_types.RESUME_ENROLLMENT, resume_enrollment, concurrency=2),
        Task(job_types.REGISTER_WEBHOOK, register_webhook, LANE_PER_CALL * settings.lookup_concurrency),
        Task(job_types.WAKE_SENDS, wake_sends, concurrency=1),
        Task(job_types.ERASE_TRACES, erase_traces, concurrency=1),
        Task(job_types.STOP_LEADS, stop_leads, concurrency=2),
    ]
