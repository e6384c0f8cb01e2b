"""`salesmatter bench import`: what a file costs from upload to committed leads, beside a bare COPY of the same rows.

A file as a CRM exports it is uploaded over HTTP to the service as `salesmatter api` and `salesmatter worker` run it,
looked at, and committed. Its baselines are the very rows that came of it, copied in by the owner: into the emptied
`leads` with its indexes, keys and triggers, and into a table that has none; once before and once after the same file is
imported again, when all that it holds is known. What was written is on disk before the next part begins. A tenth of the
rows comes first, in a database and in processes of its own: memory must not grow with the file.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, TypeVar

import httpx

from benchmarks.bare_copy import copy_into_leads, copy_into_unindexed, keep_leads, settle, write_out
from benchmarks.databases import fresh_database
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.people_file import write_people
from benchmarks.registry import Say, Size
from benchmarks.service import Service, running
from salesmatter import accounts
from salesmatter.stack import Database, open_database

ROWS: dict[Size, int] = {"small": 50_000, "full": 1_000_000}
FEWER = 10
"""Memory is compared with what so many times fewer rows take."""
LOOK_SECONDS = 0.1
LONGEST_SECONDS = 1800.0
"""What one part may take at most before the bench gives up."""
FLAT_FROM = 100_000
"""From so many rows on a file is read in many pieces, and more of them may not take more memory."""
MOST_OF_COPY, MOST_OF_COMMIT, MOST_OF_FEWER_ROWS, MOST_MEGABYTES = 2.5, 0.1, 1.25, 600
NEW, KNOWN = "new", "duplicateInWorkspace"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken:
    """The seconds that each part of an import took, and the peak memory of each process by its end, in MB."""

    upload: float
    preview: float
    commit: float
    memory: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace of a running service, and a client that may import into it."""

    database: Database
    service: Service
    client: httpx.Client
    id: str

    def bring_in(self, file: Path, rows: int, outcome: str) -> Taken:
        """Upload, preview and commit a file whose rows all come to one outcome; raises BenchFailed when they do not."""
        made, upload = _timed(lambda: self._upload(file))
        place = f"{self._imports}/{made['id']}"
        write_out(self.database)
        found, preview = _timed(lambda: self._ask("GET", f"{place}/preview"))
        write_out(self.database)
        done, commit = _timed(lambda: self._commit(place))
        counted = (made["rowCount"], found[outcome], done[f"{outcome}Count"])
        if counted != (rows, rows, rows):
            raise BenchFailed(f"Of {rows:,} rows were read, previewed and committed as {outcome}: {counted}.")
        return Taken(upload, preview, commit, self.service.peak_memory())

    @property
    def _imports(self) -> str:
        return f"/api/workspaces/{self.id}/imports"

    def _upload(self, file: Path) -> Any:
        with file.open("rb") as content:
            return self._ask("POST", self._imports, files={"file": (file.name, content, "text/csv")})

    def _commit(self, place: str) -> Any:
        deadline = time.monotonic() + LONGEST_SECONDS
        found = self._ask("POST", f"{place}/commit")
        while found["state"] == "committing":
            self.service.processes.check()
            if time.monotonic() > deadline:
                raise BenchFailed(f"After {LONGEST_SECONDS:.0f} s {found['processedCount']:,} rows are committed.")
            time.sleep(LOOK_SECONDS)
            found = self._ask("GET", place)
        if found["state"] != "committed":
            raise BenchFailed(f"The import is {found['state']}: {found['error']}")
        return found

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        return _ask(self.client, method, path, **content)


def _ask(client: httpx.Client, method: str, path: str, **content: Any) -> Any:
    try:
        response = client.request(method, path, **content)
    except httpx.HTTPError as error:
        raise BenchFailed(f"{method} {path} got no answer: {error}") from error
    if not response.is_success:
        raise BenchFailed(f"{method} {path} answered {response.status_code}: {response.text[:300]}")
    return response.json()


def _timed(act: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = act()
    return result, time.perf_counter() - started


@contextmanager
def new_workspace(database: Database) -> Iterator[Workspace]:
    """Run a service on an empty database, with one workspace; raises StartError."""
    made = asyncio.run(accounts.create(database, name="Bench", email="ann@bench.example", user_name="Ann"))
    headers = {"Authorization": f"Bearer {made.api_key}"}
    settings = {"name": "Bench", "defaultFromName": "Ann", "defaultFromEmail": "ann@bench.example"}
    with (
        running(database) as service,
        httpx.Client(base_url=service.url, headers=headers, timeout=LONGEST_SECONDS, trust_env=False) as client,
    ):
        yield Workspace(database, service, client, _ask(client, "POST", "/api/workspaces", json=settings)["id"])


def run(size: Size, say: Say) -> list[Figure]:
    """Measure on databases that are made for it; raises StartError."""
    with open_database() as server:
        return measure(server, ROWS[size], say)


def measure(server: Database, rows: int, say: Say) -> list[Figure]:
    """Measure with a file of so many rows; raises StartError."""
    with tempfile.TemporaryDirectory(prefix="salesmatter-bench-") as folder:
        file, leads = Path(folder, "people.csv"), Path(folder, "leads.copy")
        fewer = rows // FEWER
        write_people(file, fewer)
        say(f"Importing {fewer:,} rows, for their memory.")
        with fresh_database(server) as database, new_workspace(database) as workspace:
            memory = workspace.bring_in(file, fewer, NEW).memory
        write_people(file, rows)
        with fresh_database(server) as database, new_workspace(database) as workspace:
            say(f"Importing {rows:,} rows, {_megabytes(file)}, at load {os.getloadavg()[0]:.2f}.")
            write_out(database)
            first = workspace.bring_in(file, rows, NEW)
            if (kept := keep_leads(database, leads)) != rows:
                raise BenchFailed(f"The import counts {rows:,} new leads, and the table holds {kept:,}.")
            say(f"Copying the leads, {_megabytes(leads)}.")
            before = _copied(database, leads, rows, say)
            say("Importing the same file again.")
            again = workspace.bring_in(file, rows, KNOWN)
            say("Copying the leads again.")
            after = _copied(database, leads, rows, say)
    if not memory:
        say("This system does not tell how much memory a process takes.")
    into_unindexed, into_leads = (mean(turns) for turns in zip(before, after, strict=True))
    return [*_times(first, again, into_unindexed, into_leads), *peaks(first.memory, memory, fewer)]


def _megabytes(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:,.0f} MB"


def _copied(database: Database, file: Path, rows: int, say: Say) -> tuple[float, float]:
    """Return what the baselines take, the table without indexes first; the leads are there again afterwards."""
    settle(database)
    into_unindexed, into_leads = copy_into_unindexed(database, file, rows), copy_into_leads(database, file, rows)
    say(f"{into_unindexed:.2f} s into an unindexed table, {into_leads:.2f} s into leads.")
    settle(database)
    return into_unindexed, into_leads


def _times(first: Taken, again: Taken, into_unindexed: float, into_leads: float) -> list[Figure]:
    both = first.upload + first.commit
    return [
        Figure("upload", first.upload, "s"),
        Figure("preview", first.preview, "s"),
        Figure("commit", first.commit, "s"),
        Figure("upload + commit, beside COPY into leads", both, "s", into_leads, at_most=MOST_OF_COPY),
        Figure("upload + commit, beside COPY into an unindexed table", both, "s", into_unindexed),
        Figure("preview, beside the commit", first.preview, "s", first.commit, at_most=MOST_OF_COMMIT),
        Figure("upload of a file that is known", again.upload, "s"),
        Figure("preview of a file that is known", again.preview, "s"),
        Figure("commit of a file that is known", again.commit, "s"),
    ]


def peaks(memory: Mapping[str, float], of_fewer: Mapping[str, float], fewer: int) -> Iterator[Figure]:
    """Yield the peak memory of each process, beside what it was for `fewer` rows, which are a tenth."""
    most = MOST_OF_FEWER_ROWS if fewer >= FLAT_FROM else None
    for name, peak in memory.items():
        yield Figure(f"{name} peak memory", peak, "MB", at_most=MOST_MEGABYTES)
        yield Figure(f"{name} peak memory, beside a tenth of the rows", peak, "MB", of_fewer[name], at_most=most)
