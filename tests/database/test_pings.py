"""When a process tells others of its commits, in virtual seconds."""

import asyncio
from typing import Any

from sqlalchemy.engine import make_url

from database.pings import Pings
from tests.virtual_time import run_in_virtual_time, seconds_now

AFTERWARDS = 1.0
"""Virtual seconds in which nothing more is committed."""


class Line:
    """A connection that takes no time and keeps when it was asked what."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []

    async def execute(self, statement: str) -> None:
        self.asked.append((seconds_now(), statement))


async def pinged(*commits: float) -> list[tuple[float, str]]:
    """Commit at these moments and return what was asked until a second after the last."""
    pings, line = Pings(make_url("postgresql://u:p@h/d"), "test"), Line()
    connection: Any = line
    running = asyncio.create_task(pings._ping(connection))
    for moment in commits:
        await asyncio.sleep(moment - asyncio.get_running_loop().time())
        pings._due.set()
    await asyncio.sleep(AFTERWARDS)
    running.cancel()
    return line.asked


def test_the_first_commit_is_told_at_once_and_the_rest_every_20_milliseconds() -> None:
    """Commits within 20 ms of a ping share the next one; one that comes later is told at once; none is none."""
    notify = "NOTIFY salesmatter_changes"
    assert run_in_virtual_time(pinged()) == []
    assert run_in_virtual_time(pinged(0)) == [(0.0, notify)]
    assert run_in_virtual_time(pinged(0, 0.001, 0.019, 0.021, 0.5)) == [
        (0.0, notify),
        (0.02, notify),
        (0.04, notify),
        (0.5, notify),
    ]
