"""`salesmatter bench import`: measures an import from upload to commit, beside a COPY of the same rows.

It uploads a typical CRM export over HTTP to `salesmatter api` with `salesmatter worker`, previews it and commits it.
The baselines copy the imported leads as the owner: into the empty `leads` with its indexes, keys and triggers, and into
a table without them. They run before and after a second import of the same file, whose rows are all duplicates. A
checkpoint runs before each part. An import of a tenth of the rows runs first, with its own database and processes,
because memory must not grow with the file.
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

from benchmarks.bare_copy import checkpoint, copy_into_leads, copy_into_unindexed, export_leads, vacuum_and_checkpoint
from benchmarks.databases import fresh_database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.people_file import write_people
from benchmarks.progress import Progress
from benchmarks.service import Service, run_service
from benchmarks.sizes import Size
from salesmatter import accounts
from salesmatter.stack import Database, open_database

ROWS: dict[Size, int] = {"small": 50_000, "full": 1_000_000}
SMALL_FILE_DIVISOR = 10
"""Memory is compared with that of a file with this many times fewer rows."""
POLL_SECONDS = 0.1
TIMEOUT_SECONDS = 1800.0
"""The time limit of one part."""
MIN_ROWS_FOR_MEMORY = 100_000
"""A file of at least this many rows is read in many blocks, so more rows must not need more memory."""
MAX_RATIO_TO_COPY, MAX_RATIO_TO_COMMIT, MAX_RATIO_TO_SMALL_FILE, MAX_MEGABYTES = 2.5, 0.1, 1.25, 600
NEW, KNOWN = "new", "duplicateInWorkspace"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ImportTimes:
    """The seconds of each part of an import, and the peak memory of each process in MB."""

    upload: float
    preview: float
    commit: float
    memory: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace of a running service, and a client with access to it."""

    database: Database
    service: Service
    client: httpx.Client
    id: str

    def import_file(self, file: Path, rows: int, outcome: str) -> ImportTimes:
        """Upload, preview and commit a file whose rows must all have one outcome; raises BenchmarkError otherwise."""
        uploaded, upload = _measure_seconds(lambda: self._upload(file))
        import_path = f"{self._imports_path}/{uploaded['id']}"
        checkpoint(self.database)
        previewed, preview = _measure_seconds(lambda: self._request("GET", f"{import_path}/preview"))
        checkpoint(self.database)
        committed, commit = _measure_seconds(lambda: self._commit(import_path))
        counts = (uploaded["rowCount"], previewed[outcome], committed[f"{outcome}Count"])
        if counts != (rows, rows, rows):
            raise BenchmarkError(f"Of {rows:,} rows, {counts} were read, previewed and committed as {outcome}.")
        return ImportTimes(upload, preview, commit, self.service.peak_memory())

    @property
    def _imports_path(self) -> str:
        return f"/api/workspaces/{self.id}/imports"

    def _upload(self, file: Path) -> Any:
        with file.open("rb") as content:
            return self._request("POST", self._imports_path, files={"file": (file.name, content, "text/csv")})

    def _commit(self, import_path: str) -> Any:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        lead_import = self._request("POST", f"{import_path}/commit")
        while lead_import["state"] == "committing":
            self.service.processes.require_running()
            if time.monotonic() > deadline:
                processed = lead_import["processedCount"]
                raise BenchmarkError(f"Only {processed:,} rows were committed in {TIMEOUT_SECONDS:.0f} s.")
            time.sleep(POLL_SECONDS)
            lead_import = self._request("GET", import_path)
        if lead_import["state"] != "committed":
            raise BenchmarkError(f"The import is {lead_import['state']}: {lead_import['error']}")
        return lead_import

    def _request(self, method: str, path: str, **content: Any) -> Any:
        return _request(self.client, method, path, **content)


def _request(client: httpx.Client, method: str, path: str, **content: Any) -> Any:
    try:
        response = client.request(method, path, **content)
    except httpx.HTTPError as error:
        raise BenchmarkError(f"{method} {path} got no response: {error}") from error
    if not response.is_success:
        raise BenchmarkError(f"{method} {path} returned {response.status_code}: {response.text[:300]}")
    return response.json()


def _measure_seconds(function: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = function()
    return result, time.perf_counter() - started


@contextmanager
def start_workspace(database: Database) -> Iterator[Workspace]:
    """Run a service with one workspace on an empty database; raises StartError."""
    account = asyncio.run(accounts.create_account(database, name="Bench", email="ann@bench.example", user_name="Ann"))
    headers = {"Authorization": f"Bearer {account.api_key}"}
    settings = {"name": "Bench", "defaultFromName": "Ann", "defaultFromEmail": "ann@bench.example"}
    with (
        run_service(database) as service,
        httpx.Client(base_url=service.url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False) as client,
    ):
        yield Workspace(database, service, client, _request(client, "POST", "/api/workspaces", json=settings)["id"])


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measure on temporary databases; raises StartError."""
    with open_database() as server:
        return measure(server, ROWS[size], progress)


def measure(server: Database, rows: int, progress: Progress) -> list[Figure]:
    """Measure with a file of `rows` rows; raises StartError."""
    with tempfile.TemporaryDirectory(prefix="salesmatter-bench-") as folder:
        file, leads = Path(folder, "people.csv"), Path(folder, "leads.copy")
        small_rows = rows // SMALL_FILE_DIVISOR
        write_people(file, small_rows)
        progress(f"Importing {small_rows:,} rows to measure their memory.")
        with fresh_database(server) as database, start_workspace(database) as workspace:
            small_memory = workspace.import_file(file, small_rows, NEW).memory
        write_people(file, rows)
        with fresh_database(server) as database, start_workspace(database) as workspace:
            progress(f"Importing {rows:,} rows, {_megabytes(file)}, at load {os.getloadavg()[0]:.2f}.")
            checkpoint(database)
            first = workspace.import_file(file, rows, NEW)
            if (exported := export_leads(database, leads)) != rows:
                raise BenchmarkError(f"The import counts {rows:,} new leads, and the table contains {exported:,}.")
            progress(f"Copying the leads, {_megabytes(leads)}.")
            before = _measure_copies(database, leads, rows, progress)
            progress("Importing the same file again.")
            again = workspace.import_file(file, rows, KNOWN)
            progress("Copying the leads again.")
            after = _measure_copies(database, leads, rows, progress)
    if not small_memory:
        progress("This system does not provide the memory of processes.")
    into_unindexed, into_leads = (mean(turns) for turns in zip(before, after, strict=True))
    return [
        *_compare_times(first, again, into_unindexed, into_leads),
        *compare_peak_memory(first.memory, small_memory, small_rows),
    ]


def _megabytes(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:,.0f} MB"


def _measure_copies(database: Database, file: Path, rows: int, progress: Progress) -> tuple[float, float]:
    """Return the seconds of both baselines, the table without indexes first; `leads` has the same rows afterwards."""
    vacuum_and_checkpoint(database)
    into_unindexed, into_leads = copy_into_unindexed(database, file, rows), copy_into_leads(database, file, rows)
    progress(f"{into_unindexed:.2f} s into an unindexed table, {into_leads:.2f} s into leads.")
    vacuum_and_checkpoint(database)
    return into_unindexed, into_leads


def _compare_times(first: ImportTimes, again: ImportTimes, into_unindexed: float, into_leads: float) -> list[Figure]:
    both = first.upload + first.commit
    return [
        Figure("upload", first.upload, "s"),
        Figure("preview", first.preview, "s"),
        Figure("commit", first.commit, "s"),
        Figure("upload + commit, beside COPY into leads", both, "s", into_leads, at_most=MAX_RATIO_TO_COPY),
        Figure("upload + commit, beside COPY into an unindexed table", both, "s", into_unindexed),
        Figure("preview, beside the commit", first.preview, "s", first.commit, at_most=MAX_RATIO_TO_COMMIT),
        Figure("upload of a file that is known", again.upload, "s"),
        Figure("preview of a file that is known", again.preview, "s"),
        Figure("commit of a file that is known", again.commit, "s"),
    ]


def compare_peak_memory(
    memory: Mapping[str, float], small_memory: Mapping[str, float], small_rows: int
) -> Iterator[Figure]:
    """Yield the peak memory of each process beside that for a tenth of the rows, which is `fewer` rows."""
    at_most = MAX_RATIO_TO_SMALL_FILE if small_rows >= MIN_ROWS_FOR_MEMORY else None
    for name, peak in memory.items():
        yield Figure(f"{name} peak memory", peak, "MB", at_most=MAX_MEGABYTES)
        yield Figure(f"{name} peak memory, beside a tenth of the rows", peak, "MB", small_memory[name], at_most=at_most)
