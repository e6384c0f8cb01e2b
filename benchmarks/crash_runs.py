"""Runs workers that are each killed at a chosen line of the send path; each is forked with all modules imported.

It prints one JSON line after each kill, and a summary at the end.
"""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sqlalchemy.orm import configure_mappers

from ai.run import load_graphs
from ai.settings import AiSettings
from api.settings import ApiSettings
from api.worker import work
from benchmarks.kill_points import KillPlan, KillPoints
from database.roles import owner_url
from database.settings import DatabaseSettings
from salesmatter import checkout

FOLDERS = ("api/delivery/sending",)
FILES = ("api/http/batches.py", "api/jobs/engine.py", "api/jobs/work.py", "everlytic/client.py", "database/tenancy.py")
"""The send path: the code in which workers are killed."""
SENDING = "api/delivery/sending/tasks.py"
"""A worker with emails to send runs this file."""
NO_POINT = -1
KILL_WEIGHT = 2
MEAN_NTH = 2.0
"""The average number of times that the chosen line runs before a worker is killed at it."""


@dataclass(frozen=True, slots=True)
class CrashPlan:
    """The number of kills, of concurrent workers, and the seconds that a worker may take to reach its line."""

    kills: int
    workers: int
    seconds: float


def find_send_path() -> list[Path]:
    """Return the files in which workers are killed."""
    root = checkout.find_root()
    return [
        *(file for folder in FOLDERS for file in sorted(Path(root, folder).glob("*.py"))),
        *(root / f for f in FILES),
    ]


class CrashRuns:
    """Forks workers, and kills each at one of the lines with the fewest kills so far."""

    def __init__(self, plan: CrashPlan) -> None:
        self._plan = plan
        self._points = KillPoints(find_send_path())
        sending_file = str(checkout.find_root() / SENDING)
        self._at_work = {number for number, (file, _) in enumerate(self._points.lines) if file == sending_file}
        self._planned: Counter[int] = Counter()
        self._killed_at: Counter[int] = Counter()
        self._random = random.Random(plan.kills)  # noqa: S311 - no secret

    def run(self) -> None:
        """Fork workers until the planned number was killed."""
        running: dict[int, tuple[int, int]] = {}
        killed = 0
        while killed < self._plan.kills:
            while len(running) < min(self._plan.workers, self._plan.kills - killed):
                process, report_fd, point = self._fork()
                running[process] = (report_fd, point)
            process, _ = os.wait()
            report_fd, point = running.pop(process)
            with os.fdopen(report_fd) as pipe:
                report = pipe.read().strip()
            if not report:
                # The worker ended by itself, for example because the database was down; this is no kill.
                continue
            killed += 1
            self._killed_at[int(report)] += 1
            _write_line({"killed": killed, "planned": int(report) == point})
        reached = self._points.reached()
        missed = [self._points.lines[number] for number in reached if not self._killed_at[number]]
        _write_line({"reached": len(reached), "killed_at": len(self._killed_at), "missed": missed})

    def _fork(self) -> tuple[int, int, int]:
        point = self._choose_point()
        self._planned[point] += 1
        nth = 1 + int(self._random.expovariate(1 / MEAN_NTH))
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            self._run_worker(KillPlan(point, nth, self._plan.seconds, self._at_work, self._untried_points()), writing)
        os.close(writing)
        return process, reading, point

    def _choose_point(self) -> int:
        """Return one of the reached lines that were tried least often, or NO_POINT before any was reached.

        A kill counts more than a plan, so that lines without a kill, which may run rarely, are tried more often.
        """
        attempts = {
            point: self._planned[point] + KILL_WEIGHT * self._killed_at[point] for point in self._points.reached()
        }
        fewest = min(attempts.values(), default=0)
        return self._random.choice([point for point, number in attempts.items() if number == fewest] or [NO_POINT])

    def _untried_points(self) -> set[int]:
        """Return the lines at which no worker was killed yet."""
        return set(range(len(self._points.lines))) - self._killed_at.keys()

    def _run_worker(self, plan: KillPlan, report_fd: int) -> NoReturn:
        """Run a worker in this forked process until it is killed."""
        try:
            self._points.start_tracing(plan, report_fd)
            asyncio.run(work(ApiSettings(), AiSettings(), owner_url(DatabaseSettings().owner_url())))
        except Exception as error:  # noqa: BLE001 - it is logged, and the next worker starts
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            os._exit(1)


def _write_line(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    kills, workers, seconds = sys.argv[1:]
    # Run the one-time initialization before the first fork.
    load_graphs()
    configure_mappers()
    CrashRuns(CrashPlan(int(kills), int(workers), float(seconds))).run()
