"""End-to-end tests with killed workers, provider faults and Postgres crashes: no mail is sent twice or lost."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.delivery_audit import audit_deliveries, has_open_work
from benchmarks.faults import Load, kill_workers
from benchmarks.kill_points import KillPoints
from benchmarks.outreach import start_testbed
from benchmarks.scratch_server import scratch_server
from database.roles import connect
from tests import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180, func_only=True)]

TINY = Load(kills=10, crashes=1, leads=50, waves=2, attempts=0, least_emails=50, least_covered=None)

CODE = """
def add(numbers):
    total = 0
    for number in numbers:
        total += number
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
from benchmarks.kill_points import KillPlan, KillPoints
points = KillPoints([Path(sys.argv[1])])
lines = [line for _, line in points.lines]
process = os.fork()
if process == 0:
    points.start_tracing(KillPlan(lines.index(int(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4])), 1)
    asyncio.run(adder.Adder().run())
    os._exit(0)
_, status = os.waitpid(process, 0)
print(os.waitstatus_to_exitcode(status), [lines[number] for number in points.reached()], lines)
"""


def test_killed_workers_send_nothing_twice_and_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider accepted each mail at most once; each is sent, failed, or unknown with evidence."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path))
    messages: list[str] = []

    with scratch_server() as server:
        figures = {figure.figure: figure for figure in kill_workers(server, TINY, messages.append)}

    assert [name for name, figure in figures.items() if not figure.ok] == [], messages
    assert figures["workers killed"].value == 10
    assert figures["of them sent"].value > 0
    assert figures["of them sent"].value == figures["accepted by the provider"].value


INSERT_ATTEMPT = """
WITH claim AS (
  INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at, outcome, error)
  SELECT workspace_id, id, now(), %(outcome)s, %(error)s FROM app.email_drafts WHERE id = %(draft)s
)
UPDATE app.email_drafts SET status = %(status)s WHERE id = %(draft)s
"""


def test_the_audit_finds_each_kind_of_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit lists mails accepted twice, known to one side only, unknown without evidence, and lost."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path))
    with scratch_server() as server, start_testbed(server.database, ["everlytic.sandbox"]) as stage:
        outreach = stage.create_outreach()
        mails = outreach.add_leads(4, outreach.write_sequence(2), 0, datetime.now(UTC))
        twice, waiting, sent, unknown = (str(mail.draft) for mail in mails)
        with connect(server.database.direct) as connection:
            for draft, outcome, status in ((sent, "accepted", "sent"), (unknown, "unknown", "reviewed")):
                values = {"draft": draft, "outcome": outcome, "status": status, "error": "cut off"}
                connection.execute(INSERT_ATTEMPT, values)
        assert has_open_work(server.database, outreach)

        audit = audit_deliveries(server.database, outreach, [twice, twice, "stranger"], 2)

    assert audit.wrong["accepted twice"] == [twice]
    assert audit.wrong["accepted and not ours"] == ["stranger"]
    cases_by_failure = {name: {case.split()[0] for case in cases} for name, cases in audit.wrong.items()}
    assert cases_by_failure["accepted, and not sent by our record"] == {twice}
    assert cases_by_failure["sent by our record, and not accepted"] == {sent}
    assert cases_by_failure["unknown without evidence"] == {unknown}
    # The enrollment of the sent mail has no next step and is not completed.
    assert cases_by_failure["lost"] == {twice, waiting, "enrollment"}


@pytest.fixture
def adder(tmp_path: Path) -> Path:
    """A file of functions."""
    file = tmp_path / "adder.py"
    file.write_text(CODE, encoding="utf-8")
    return file


def test_the_lines_of_functions_are_kill_points(adder: Path) -> None:
    """All lines that a call can reach are found, in methods and coroutines too; lines that run on import are not."""
    assert {3, 4, 5, 6, 7, 8, 12} <= {line for _, line in KillPoints([adder]).lines} <= {2, *range(3, 9), 11, 12}


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
def test_a_process_is_killed_before_its_planned_line(
    adder: Path, line: int, nth: int, seconds: float, status: int, died_at: str | None, reached: set[int]
) -> None:
    """It is killed before its line runs for the nth time, or at any line after its deadline, and reports the line."""
    result = subprocess.run(
        [sys.executable, "-c", RUN, str(adder), str(line), str(nth), str(seconds)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "."},
    )
    *reports, summary = result.stdout.splitlines()
    exit_status, reached_lines, lines = eval(f"({summary.replace(' [', ', [')})")
    assert exit_status == status
    assert set(reached_lines) == reached
    assert [str(lines[int(report)]) for report in reports] == ([died_at] if died_at else [])
