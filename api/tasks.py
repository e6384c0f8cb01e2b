"""The list of all tasks of the worker: a job type, its function, and how many run at once."""

from datetime import timedelta

from api.accounts.workspaces.tasks import register_webhook, wake_sends
from api.delivery.events.tasks import apply_provider_events, sync_analytics
from api.delivery.sending.tasks import resume_sends, send_email
from api.delivery.unresolved_sends.tasks import reconcile_send, sweep_sends
from api.http.resources import Services
from api.imports.tasks import commit_import, expire_import, undo_import
from api.inbox.mailbox.tasks import poll_mailbox
from api.inbox.replies.tasks import classify_reply, resume_enrollment, score_reply
from api.jobs.engine import Task
from api.outreach.drafts.tasks import generate_draft, score_draft
from api.people.erasure.tasks import erase_traces
from api.settings import ApiSettings

SENT_PER_CALL = 4
"""Concurrent `send_email` jobs per concurrent call: for one job in a call, three record their result or wait for it."""


def tasks(settings: ApiSettings) -> list[Task[Services]]:
    """Return the tasks of a worker, one lane per job type."""
    return [
        Task("send_email", send_email, SENT_PER_CALL * settings.send_concurrency, on_lost="verify"),
        Task("generate_draft", generate_draft, settings.draft_concurrency),
        Task("score_draft", score_draft, concurrency=2),
        Task("commit_import", commit_import, concurrency=2, on_lost="verify"),
        Task("undo_import", undo_import, concurrency=2, on_lost="verify"),
        Task("expire_import", expire_import, concurrency=1),
        Task("apply_provider_events", apply_provider_events, concurrency=2),
        Task("sync_analytics", sync_analytics, concurrency=2),
        Task("classify_reply", classify_reply, concurrency=4),
        Task("score_reply", score_reply, concurrency=2),
        Task("poll_mailbox", poll_mailbox, concurrency=8, on_lost="verify"),
        Task("reconcile_send", reconcile_send, concurrency=2, on_lost="verify"),
        Task("sweep_sends", sweep_sends, concurrency=1, every=timedelta(hours=1)),
        Task("resume_sends", resume_sends, concurrency=2),
        Task("resume_enrollment", resume_enrollment, concurrency=2),
        Task("register_webhook", register_webhook, concurrency=2),
        Task("wake_sends", wake_sends, concurrency=1),
        Task("erase_traces", erase_traces, concurrency=1),
    ]
