"""`salesmatter bench faults`: kills workers at every line of the send path, and races stops against the sender.

While workers are killed, the provider fails at random and Postgres crashes; then one worker sends the rest. The emails
that the provider accepted, by its own record, are compared with those that our records call sent. The race is in
`race.py`.
"""

import json
import queue
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from benchmarks import race
from benchmarks.delivery_audit import DeliveryAudit, audit_deliveries, has_open_work
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.outreach import Outreach, SequenceSteps, Testbed, start_testbed
from benchmarks.progress import Progress
from benchmarks.scratch_server import ScratchServer, scratch_server
from benchmarks.sizes import Size
from salesmatter.processes import Processes, Program

SPEED = 600
"""The speed of the business clock: a wait of ten minutes takes a second."""
UNKNOWN_WAIT_HOURS = 2
STEPS = 2
WORKERS = 3
RUN_SECONDS = 1.0
MAX_SECONDS_BETWEEN_KILLS = 60.0
FINISH_SECONDS = 240.0
POLL_SECONDS = 0.5

FAULTS: Mapping[str, float] = {
    "rate_limited": 0.01,
    "server_error": 0.01,
    "server_error_after_accept": 0.01,
    "unavailable": 0.01,
    "html_error": 0.01,
    "bad_request_but_delivered": 0.01,
    "timeout_after_accept": 0.01,
    "reset_before_accept": 0.01,
    "reset_after_accept": 0.01,
    "truncated_json": 0.01,
    "sent_event_before_response": 0.01,
    "slow": 0.01,
    "lost_webhooks": 0.2,
    "duplicate_webhooks": 0.2,
    "out_of_order_webhooks": 0.1,
}
"""The probability of each fault of the provider per call or event."""
WORKER = {
    "SALESMATTER_LOST_AFTER_SECONDS": "1",
    "SALESMATTER_POLL_MILLISECONDS": "50",
    "SALESMATTER_PROVIDER_TIMEOUT_SECONDS": "0.7",
    "SALESMATTER_POOL_SIZE": "10",
}
# The outcome of emails that a killed worker had claimed is unknown, so it claims few at once.
CRASHING_WORKER = {**WORKER, "SALESMATTER_SEND_CONCURRENCY": "6"}


@dataclass(frozen=True, slots=True)
class Load:
    """The numbers of kills, crashes, leads (added in waves) and race attempts, and the least results."""

    kills: int
    crashes: int
    leads: int
    waves: int
    attempts: int
    least_emails: int
    least_covered: float | None


LOADS: dict[Size, Load] = {
    "small": Load(36, 1, 200, 4, 400, 250, None),
    "full": Load(1_000, 5, 7_000, 50, 10_000, 10_000, 0.9),
}


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measure on temporary servers; raises StartError."""
    return measure(LOADS[size], progress)


def measure(load: Load, progress: Progress) -> list[Figure]:
    """Measure with a load; raises StartError."""
    with scratch_server() as server:
        figures = list(kill_workers(server, load, progress))
    with scratch_server() as server:
        return [*figures, *race.measure(server.database, load.attempts, progress)]


def kill_workers(server: ScratchServer, load: Load, progress: Progress) -> Iterator[Figure]:
    """Yield the results of emails whose workers were killed; raises StartError."""
    clock = f"{time.time()},{datetime.now(UTC).isoformat()},{SPEED}"
    sandbox = ["everlytic.sandbox", "--seed", "1", "--clock", clock, "--switch", "hold_seconds=3"]
    for name, probability in FAULTS.items():
        sandbox += ["--scenario", f"{name}={probability}"]
    with start_testbed(server.database, sandbox, SALESMATTER_CLOCK=clock) as testbed:
        outreach = testbed.create_outreach(unknownWaitHours=UNKNOWN_WAIT_HOURS)
        outreach.connect(testbed.provider)
        sequence = outreach.write_sequence(STEPS)
        progress(f"Killing workers {load.kills:,} times and Postgres {load.crashes} times, with {load.leads:,} leads.")
        result = _CrashLoop(server, testbed, outreach, sequence, load, progress).run()
        progress(
            f"Sending the rest; {result['killed']} kills at {result['killed_at']} of {result['reached']} reached lines."
        )
        testbed.start_worker(**WORKER)
        _wait_until_done(testbed, outreach)
        audit = audit_deliveries(server.database, outreach, _read_ledger(testbed, outreach), STEPS)
    for line in audit.describe_errors():
        progress(line)
    yield from _figures(load, result, audit)


class _CrashLoop:
    """Runs the workers to kill; adds waves of leads and crashes Postgres in proportion to the kills."""

    def __init__(
        self,
        server: ScratchServer,
        testbed: Testbed,
        outreach: Outreach,
        sequence: SequenceSteps,
        load: Load,
        progress: Progress,
    ) -> None:
        self._server, self._testbed, self._load, self._progress = server, testbed, load, progress
        self._outreach, self._sequence = outreach, sequence
        self._lines: queue.Queue[str] = queue.Queue()

    def run(self) -> dict[str, Any]:
        """Return the summary of the crash runs, with the numbers `killed` and `crashes`."""
        load, killed, waves, crashes = self._load, 0, 0, 0
        with Processes(lambda _name, line: self._lines.put(line)) as processes:
            processes.start(self._program())
            while True:
                while waves < load.waves and waves * load.kills <= killed * load.waves:
                    self._add_wave(waves)
                    waves += 1
                if crashes < load.crashes and killed * (load.crashes + 1) >= (crashes + 1) * load.kills:
                    self._server.crash()
                    crashes += 1
                    self._progress(f"{killed:,} kills; Postgres crashed and has recovered.")
                message = self._next_message()
                if "reached" in message:
                    return {**message, "killed": killed, "crashes": crashes}
                killed = message["killed"]

    def _add_wave(self, wave: int) -> None:
        leads, waves = self._load.leads, self._load.waves
        number = leads * (wave + 1) // waves - leads * wave // waves
        self._outreach.add_leads(number, self._sequence, 0, datetime.now(UTC))

    def _next_message(self) -> dict[str, Any]:
        try:
            message: dict[str, Any] = json.loads(self._lines.get(timeout=MAX_SECONDS_BETWEEN_KILLS))
        except queue.Empty:
            raise BenchmarkError(
                f"No worker was killed for {MAX_SECONDS_BETWEEN_KILLS:.0f} s. See bench-crash-runs.log."
            ) from None
        return message

    def _program(self) -> Program:
        program = self._testbed.program(
            "crash-runs",
            ["-m", "benchmarks.crash_runs", str(self._load.kills), str(WORKERS), str(RUN_SECONDS)],
            **CRASHING_WORKER,
        )
        shell, option, _, log, python, *arguments = program.command
        # Standard output is read here; standard error goes to the log.
        command = [shell, option, 'exec "$@" 2>"$0"', log, python or sys.executable, *arguments]
        return Program(program.name, command, program.environment, program.directory)


def _wait_until_done(testbed: Testbed, outreach: Outreach) -> None:
    """Wait until no send, event or search is pending, up to a time limit; the audit reports the rest."""
    deadline = time.monotonic() + FINISH_SECONDS
    while time.monotonic() < deadline:
        testbed.processes.require_running()
        busy = httpx.get(f"{testbed.provider}/__sandbox__/state", trust_env=False).json()["due_now"]
        if not busy and not has_open_work(testbed.database, outreach):
            return
        time.sleep(POLL_SECONDS)


def _read_ledger(testbed: Testbed, outreach: Outreach) -> list[str]:
    """Return the message id of each email that the provider accepted, once per acceptance."""
    url = f"{testbed.provider}/__sandbox__/ledger"
    response = httpx.get(url, params={"username": outreach.username}, timeout=60.0, trust_env=False)
    return [mail["message_id"] for mail in response.raise_for_status().json()]


def _figures(load: Load, result: Mapping[str, Any], audit: DeliveryAudit) -> Iterator[Figure]:
    yield Figure("workers killed", result["killed"], "", at_least=load.kills)
    yield Figure(
        "lines of the send path they were killed at, beside those they reached",
        result["killed_at"],
        "",
        result["reached"],
        at_least=load.least_covered,
    )
    yield Figure("crashes of Postgres meanwhile", result["crashes"], "", at_least=load.crashes)
    yield Figure("emails", audit.emails, "", at_least=load.least_emails)
    yield Figure("accepted by the provider", audit.accepted, "")
    for name, number in audit.outcomes.items():
        yield Figure(f"of them {name}", number, "")
    for name, wrong in audit.wrong.items():
        yield Figure(name, len(wrong), "", at_most=0)
