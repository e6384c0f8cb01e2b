"""Workers killed along the send path while the provider fails and Postgres crashes: nothing is sent twice or lost."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.faults import Load, kill_workers
from benchmarks.line_boundaries import Boundaries
from benchmarks.outreach import staged
from benchmarks.scratch_server import scratch_server
from benchmarks.verdict import open_work, verdict
from database.roles import connect
from tests import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180, func_only=True)]

TINY = Load(deaths=10, crashes=1, leads=50, waves=2, tries=0, least_emails=50, least_covered=None)

CODE = """
def add(numbers):
    total = 0
    for one in numbers:
        total += one
    if total < 0:
        total = -total
    return total

class Adder:
    async def run(self):
        return add([1, 2, 3])
"""
RUN = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))
import adder
from benchmarks.line_boundaries import Appointment, Boundaries
boundaries = Boundaries([Path(sys.argv[1])])
lines = [line for _, line in boundaries.lines]
process = os.fork()
if process == 0:
    boundaries.keep(Appointment(lines.index(int(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4])), 1)
    asyncio.run(adder.Adder().run())
    os._exit(0)
_, status = os.waitpid(process, 0)
print(os.waitstatus_to_exitcode(status), [lines[number] for number in boundaries.reached()], lines)
"""


def test_killed_workers_send_nothing_twice_and_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the provider's record each mail was taken at most once; each is sent, failed or unknown with evidence."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path))
    said: list[str] = []

    with scratch_server() as server:
        figures = {figure.figure: figure for figure in kill_workers(server, TINY, said.append)}

    assert [name for name, figure in figures.items() if not figure.ok] == [], said
    assert figures["workers killed"].value == 10
    assert figures["of them sent"].value > 0
    assert figures["of them sent"].value == figures["accepted by the provider"].value


TRIED = """
WITH claim AS (
  INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at, outcome, error)
  SELECT workspace_id, id, now(), %(outcome)s, %(error)s FROM app.email_drafts WHERE id = %(draft)s
)
UPDATE app.email_drafts SET status = %(status)s WHERE id = %(draft)s
"""


def test_what_went_wrong_would_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict names what was taken twice, what only one side knows of, what is unknown for no reason, and lost."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path))
    with scratch_server() as server, staged(server.database, ["everlytic.sandbox"]) as stage:
        outreach = stage.outreach()
        mails = outreach.put(4, outreach.write_sequence(2), 0, datetime.now(UTC))
        twice, waiting, sent, unknown = (str(mail.draft) for mail in mails)
        with connect(server.database.direct) as connection:
            for draft, outcome, status in ((sent, "accepted", "sent"), (unknown, "unknown", "reviewed")):
                values = {"draft": draft, "outcome": outcome, "status": status, "error": "cut off"}
                connection.execute(TRIED, values)
        assert open_work(server.database, outreach)

        found = verdict(server.database, outreach, [twice, twice, "stranger"], 2)

    assert found.wrong["accepted twice"] == [twice]
    assert found.wrong["accepted and not ours"] == ["stranger"]
    told = {name: {case.split()[0] for case in cases} for name, cases in found.wrong.items()}
    assert told["accepted, and not sent by our record"] == {twice}
    assert told["sent by our record, and not accepted"] == {sent}
    assert told["unknown without evidence"] == {unknown}
    # The enrollment whose mail was sent waits for nothing, and is not through.
    assert told["lost"] == {twice, waiting, "enrollment"}


@pytest.fixture
def adder(tmp_path: Path) -> Path:
    """A file of functions."""
    file = tmp_path / "adder.py"
    file.write_text(CODE, encoding="utf-8")
    return file


def test_the_lines_of_functions_are_boundaries(adder: Path) -> None:
    """All lines that a call can come to are found, methods and coroutines included; what runs on import is not."""
    assert {3, 4, 5, 6, 7, 8, 12} <= {line for _, line in Boundaries([adder]).lines} <= {2, *range(3, 9), 11, 12}


@pytest.mark.parametrize(
    ("line", "nth", "seconds", "status", "died_at", "reached"),
    [
        (5, 1, 60, -signal.SIGKILL, "5", {12, 3, 4, 5}),
        (8, 1, 60, -signal.SIGKILL, "8", {12, 3, 4, 5, 6, 8}),
        (5, 3, 60, -signal.SIGKILL, "5", {12, 3, 4, 5}),
        (5, 4, 60, 0, None, {12, 3, 4, 5, 6, 8}),
        (7, 1, -1, -signal.SIGKILL, "12", {12}),
    ],
)
def test_a_process_dies_before_the_line_it_was_appointed(
    adder: Path, line: int, nth: int, seconds: float, status: int, died_at: str | None, reached: set[int]
) -> None:
    """It is killed as its line is about to run for the nth time, or anywhere when it is overdue, and that is told."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(adder), str(line), str(nth), str(seconds)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
    )
    *notes, said = done.stdout.splitlines()
    ended, seen, lines = eval(f"({said.replace(' [', ', [')})")
    assert ended == status
    assert set(seen) == reached
    assert [str(lines[int(note)]) for note in notes] == ([died_at] if died_at else [])
