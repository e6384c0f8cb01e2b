"""When a process notifies others of its commits, in virtual seconds."""

import asyncio
from typing import Any

from sqlalchemy.engine import make_url

from database.commit_notifier import CommitNotifier
from tests.virtual_time import run_in_virtual_time, seconds_now

QUIET_SECONDS = 1.0
"""Virtual seconds without a commit at the end."""


class RecordingConnection:
    """A connection that takes no time and records its statements with their times."""

    def __init__(self) -> None:
        self.statements: list[tuple[float, str]] = []

    async def execute(self, statement: str) -> None:
        self.statements.append((seconds_now(), statement))


async def notify_of(*commit_times: float) -> list[tuple[float, str]]:
    """Commit at these times, and return the statements until a second after the last commit."""
    notifier, recording = CommitNotifier(make_url("postgresql://u:p@h/d"), "test"), RecordingConnection()
    connection: Any = recording
    task = asyncio.create_task(notifier._notify(connection))
    for commit_time in commit_times:
        await asyncio.sleep(commit_time - asyncio.get_running_loop().time())
        notifier._due.set()
    await asyncio.sleep(QUIET_SECONDS)
    task.cancel()
    return recording.statements


def test_notifications_are_at_least_20_milliseconds_apart() -> None:
    """Commits within 20 ms of a notification share the next one; a later commit is notified at once."""
    notify = "NOTIFY salesmatter_changes"
    assert run_in_virtual_time(notify_of()) == []
    assert run_in_virtual_time(notify_of(0)) == [(0.0, notify)]
    assert run_in_virtual_time(notify_of(0, 0.001, 0.019, 0.021, 0.5)) == [
        (0.0, notify),
        (0.02, notify),
        (0.04, notify),
        (0.5, notify),
    ]
