"""Many short lives of a worker: each is forked with everything imported, works, and is killed at an appointed line.

It prints one JSON line for each death, and one about all at the end.
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

from ai.run import warm
from ai.settings import AiSettings
from api.settings import ApiSettings
from api.worker import work
from benchmarks.line_boundaries import Appointment, Boundaries
from database.roles import owner_url
from database.settings import DatabaseSettings
from salesmatter import checkout

FOLDERS = ("api/delivery/sending",)
FILES = ("api/http/batches.py", "api/jobs/engine.py", "api/jobs/work.py", "everlytic/client.py", "database/tenancy.py")
"""The send path: where it can be cut."""
SENDING = "api/delivery/sending/tasks.py"
"""Where a worker comes to when it has mails to send."""
NOWHERE = -1
TRIES = 2
MEAN_NTH = 2.0
"""A life ends when its line is about to run for this many times, on the average."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many deaths, how many workers at once, and for how many seconds a life waits for the line it is appointed."""

    deaths: int
    at_once: int
    seconds: float


def send_path() -> list[Path]:
    """Return the files in which workers are killed."""
    root = checkout.root()
    return [
        *(file for folder in FOLDERS for file in sorted(Path(root, folder).glob("*.py"))),
        *(root / f for f in FILES),
    ]


class Lives:
    """Forks one worker after the other, each with an appointment at the boundary that had the fewest."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._boundaries = Boundaries(send_path())
        sends = str(checkout.root() / SENDING)
        self._at_work = {number for number, (file, _) in enumerate(self._boundaries.lines) if file == sends}
        self._appointed: Counter[int] = Counter()
        self._died_at: Counter[int] = Counter()
        self._random = random.Random(plan.deaths)  # noqa: S311 - which line is next is no secret

    def run(self) -> None:
        """Let workers live and die until there were as many deaths as planned."""
        living: dict[int, tuple[int, int]] = {}
        died = 0
        while died < self._plan.deaths:
            while len(living) < min(self._plan.at_once, self._plan.deaths - died):
                process, note, boundary = self._fork()
                living[process] = (note, boundary)
            process, _ = os.wait()
            note, boundary = living.pop(process)
            with os.fdopen(note) as told:
                said = told.read().strip()
            if not said:
                # The database may have been away: nobody was killed, and it does not count.
                continue
            died += 1
            self._died_at[int(said)] += 1
            _say({"died": died, "appointed": int(said) == boundary})
        reached = self._boundaries.reached()
        missed = [self._boundaries.lines[number] for number in reached if not self._died_at[number]]
        _say({"reached": len(reached), "died_at": len(self._died_at), "missed": missed})

    def _fork(self) -> tuple[int, int, int]:
        boundary = self._next()
        self._appointed[boundary] += 1
        nth = 1 + int(self._random.expovariate(1 / MEAN_NTH))
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            self._live(Appointment(boundary, nth, self._plan.seconds, self._at_work, self._spared()), writing)
        os.close(writing)
        return process, reading, boundary

    def _next(self) -> int:
        """Return a boundary that was seen, of those least often tried, or none before any was.

        Where nobody died yet is tried more often: it may be seldom come to.
        """
        tried = {one: self._appointed[one] + TRIES * self._died_at[one] for one in self._boundaries.reached()}
        fewest = min(tried.values(), default=0)
        return self._random.choice([one for one, times in tried.items() if times == fewest] or [NOWHERE])

    def _spared(self) -> set[int]:
        """Return the boundaries at which nobody has died yet."""
        return set(range(len(self._boundaries.lines))) - self._died_at.keys()

    def _live(self, appointment: Appointment, note: int) -> NoReturn:
        """Be a worker, in a process forked for it, until the appointed end."""
        try:
            self._boundaries.keep(appointment, note)
            asyncio.run(work(ApiSettings(), AiSettings(), owner_url(DatabaseSettings().owner_url())))
        except Exception as error:  # noqa: BLE001 - said in the log; another worker lives on
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            os._exit(1)


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    deaths, at_once, seconds = sys.argv[1:]
    # What a process does once in its life is done before any is forked.
    warm()
    configure_mappers()
    Lives(Plan(int(deaths), int(at_once), float(seconds))).run()
