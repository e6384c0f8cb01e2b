"""Watching the sequence run, with a reviewer who approves what is drafted, until nothing is left to happen."""

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
COUNT_SECONDS = 4.0
QUIET_SHARE = 0.1
STOPPED = ("replied", "unsubscribed", "paused")
UNDONE = ("pending", "running")
FILE_EXPIRES = "expire_import"
"""The one job that the demo does not wait for: it deletes the imported file after a month."""


class Watch:
    """One run of a campaign, watched over HTTP."""

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
        self._place = f"/api/workspaces/{campaign.workspace}"
        self._most = campaign.leads * steps
        self._reached: dict[str, set[str]] = defaultdict(set)
        self._newest_event = ""
        self._next_count = 0.0
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
        )
        self._bars = {
            name: self._bar(name) for name in ("drafted", "sent", "delivered", "opened", "replied", "stopped")
        }

    def until_done(self, check: Callable[[], None], seconds: float, when_quiet: Callable[[], None]) -> None:
        """Review and show progress until nothing is left to happen; raises DemoFailed when it takes too long.

        `when_quiet` is called once most enrollments have come to their end, perhaps more than once.
        """
        deadline = time.monotonic() + seconds
        with self._progress:
            while True:
                started = time.monotonic()
                self._api.post(f"{self._place}/drafts/approve", {"sequenceId": self._campaign.sequence})
                progress = self._api.get(f"{self._place}/sequences/{self._campaign.sequence}/progress")
                self._show(progress)
                if self._is_done(progress):
                    self._count()
                    self._show(progress)
                    return
                check()
                if progress["enrollments"].get("active", 0) < QUIET_SHARE * self._campaign.leads:
                    when_quiet()
                if time.monotonic() > deadline:
                    raise DemoFailed(f"The sequence was not done within {seconds:.0f} s: {progress}.")
                time.sleep(max(0.0, POLL_SECONDS - (time.monotonic() - started)))

    def _is_done(self, progress: dict[str, dict[str, int]]) -> bool:
        """Whether no enrollment is under way, no job waits, and nothing is to come from people or their mailboxes."""
        if progress["enrollments"].get("active"):
            return False
        found = [self._api.get(f"{self._place}/jobs", status=status, limit=2)["items"] for status in UNDONE]
        if any(job["jobType"] != FILE_EXPIRES for jobs in found for job in jobs):
            return False
        state = self._sandbox.get("/__sandbox__/state")["tenants"][self._campaign.username]
        return not any(state[left] for left in ("pending_people_events", "pending_deliveries", "failed_deliveries"))

    def _show(self, progress: dict[str, dict[str, int]]) -> None:
        drafts, enrollments = progress["drafts"], progress["enrollments"]
        sent = drafts.get("sent", 0)
        self._set("drafted", sum(drafts.values()) - drafts.get("pending", 0), self._most)
        self._set("sent", sent, self._most, f"{self._clock.now():%a %d %b, %H:%M}")
        self._set("stopped", sum(enrollments.get(status, 0) for status in STOPPED), self._campaign.leads)
        if time.monotonic() > self._next_count:
            self._count()
            self._next_count = time.monotonic() + COUNT_SECONDS
        self._set("delivered", len(self._reached["delivered"]), sent)
        self._set("opened", len(self._reached["opened"]), sent)
        self._set("replied", len(self._reached["replied"]), self._campaign.leads)

    def _count(self) -> None:
        """Read the events that are new since the last time."""
        newest = self._newest_event
        for page in self._api.pages(f"{self._place}/events"):
            for event in page:
                self._reached[event["type"]].add(event["draftId"])
            self._newest_event = max(self._newest_event, *(event["id"] for event in page), "")
            if any(event["id"] <= newest for event in page):
                break
        for reply in self._api.all(f"{self._place}/replies"):
            if reply["isAutomatic"] is False:
                self._reached["replied"].add(reply["id"])

    def _bar(self, name: str) -> TaskID:
        return self._progress.add_task(name, total=None, note="")

    def _set(self, name: str, done: int, total: int, note: str = "") -> None:
        self._progress.update(self._bars[name], completed=done, total=max(total, 1), note=note)
