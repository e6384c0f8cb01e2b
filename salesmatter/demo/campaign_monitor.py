"""Approves the campaign's drafts and shows its progress until nothing is left to do."""

import time
from collections import defaultdict
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from salesmatter.demo.business_time import BusinessTime
from salesmatter.demo.campaign import Campaign
from salesmatter.demo.http_client import HttpClient
from salesmatter.errors import DemoFailed

POLL_SECONDS = 1.0
EVENT_POLL_SECONDS = 4.0
MOSTLY_DONE_SHARE = 0.1
STOPPED_STATUSES = ("replied", "unsubscribed", "paused")
OPEN_JOB_STATUSES = ("pending", "running")
EXPIRY_JOB_TYPE = "expire_import"
"""The demo does not wait for this job, which deletes the imported file after a month."""


class CampaignMonitor:
    """Follows one campaign over HTTP."""

    def __init__(
        self,
        console: Console,
        api: HttpClient,
        sandbox: HttpClient,
        campaign: Campaign,
        steps: int,
        clock: BusinessTime,
    ) -> None:
        self._api, self._sandbox, self._campaign, self._clock = api, sandbox, campaign, clock
        self._path = f"/api/workspaces/{campaign.workspace_id}"
        self._message_count = campaign.lead_count * steps
        self._ids_by_type: dict[str, set[str]] = defaultdict(set)
        self._newest_event = ""
        self._next_event_poll = 0.0
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
        )
        self._bars = {
            name: self._add_bar(name) for name in ("drafted", "sent", "delivered", "opened", "replied", "stopped")
        }

    def wait_until_done(
        self, require_running: Callable[[], None], seconds: float, on_mostly_done: Callable[[], None]
    ) -> None:
        """Approve drafts and show progress until nothing is left to do; raises DemoFailed after the given seconds.

        `on_mostly_done` is called after most enrollments have ended, possibly more than once.
        """
        deadline = time.monotonic() + seconds
        with self._progress:
            while True:
                started = time.monotonic()
                self._api.post(f"{self._path}/drafts/approve", {"sequenceId": self._campaign.sequence_id})
                progress = self._api.get(f"{self._path}/sequences/{self._campaign.sequence_id}/progress")
                self._show(progress)
                if self._is_done(progress):
                    self._read_new_events()
                    self._show(progress)
                    return
                require_running()
                if progress["enrollments"].get("active", 0) < MOSTLY_DONE_SHARE * self._campaign.lead_count:
                    on_mostly_done()
                if time.monotonic() > deadline:
                    raise DemoFailed(f"The sequence was not done within {seconds:.0f} s: {progress}.")
                time.sleep(max(0.0, POLL_SECONDS - (time.monotonic() - started)))

    def _is_done(self, progress: dict[str, dict[str, int]]) -> bool:
        """Return whether no enrollment is active, no job is open, and the sandbox has no event left to send."""
        if progress["enrollments"].get("active"):
            return False
        jobs = [
            job
            for status in OPEN_JOB_STATUSES
            for job in self._api.get(f"{self._path}/jobs", status=status, limit=2)["items"]
        ]
        if any(job["jobType"] != EXPIRY_JOB_TYPE for job in jobs):
            return False
        state = self._sandbox.get("/__sandbox__/state")["tenants"][self._campaign.username]
        return not any(state[name] for name in ("pending_people_events", "pending_deliveries", "failed_deliveries"))

    def _show(self, progress: dict[str, dict[str, int]]) -> None:
        drafts, enrollments = progress["drafts"], progress["enrollments"]
        sent = drafts.get("sent", 0)
        stopped = sum(enrollments.get(status, 0) for status in STOPPED_STATUSES)
        self._set_bar("drafted", sum(drafts.values()) - drafts.get("pending", 0), self._message_count)
        self._set_bar("sent", sent, self._message_count, f"{self._clock.now():%a %d %b, %H:%M}")
        self._set_bar("stopped", stopped, self._campaign.lead_count)
        if time.monotonic() > self._next_event_poll:
            self._read_new_events()
            self._next_event_poll = time.monotonic() + EVENT_POLL_SECONDS
        self._set_bar("delivered", len(self._ids_by_type["delivered"]), sent)
        self._set_bar("opened", len(self._ids_by_type["opened"]), sent)
        self._set_bar("replied", len(self._ids_by_type["replied"]), self._campaign.lead_count)

    def _read_new_events(self) -> None:
        """Read the events since the last call, and all replies."""
        newest = self._newest_event
        for page in self._api.iterate_pages(f"{self._path}/events"):
            for event in page:
                self._ids_by_type[event["type"]].add(event["draftId"])
            self._newest_event = max(self._newest_event, *(event["id"] for event in page), "")
            if any(event["id"] <= newest for event in page):
                break
        for reply in self._api.list_all(f"{self._path}/replies"):
            if reply["isAutomatic"] is False:
                self._ids_by_type["replied"].add(reply["id"])

    def _add_bar(self, name: str) -> TaskID:
        return self._progress.add_task(name, total=None, note="")

    def _set_bar(self, name: str, done: int, total: int, note: str = "") -> None:
        self._progress.update(self._bars[name], completed=done, total=max(total, 1), note=note)
