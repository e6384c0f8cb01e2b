"""`salesmatter bench faults`: workers killed at every line of the send path, and stops raced against the sender.

While workers die, the provider fails at random and Postgres is crashed; then one worker finishes what is left. What
the provider took, by its own record, is held against what we say was sent. The race is in `race.py`.
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
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.outreach import Outreach, Stage, Steps, staged
from benchmarks.registry import Say, Size
from benchmarks.scratch_server import ScratchServer, scratch_server
from benchmarks.verdict import Verdict, open_work, verdict
from salesmatter.processes import Processes, Program

SPEED = 600
"""How many times as fast business time passes: waits of ten minutes take a second."""
UNKNOWN_WAIT_HOURS = 2
STEPS = 2
AT_ONCE = 3
LIFE_SECONDS = 1.0
SILENT_SECONDS = 60.0
DRY_SECONDS = 240.0
LOOK_SECONDS = 0.5

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
"""How likely each fault of the provider is, for each call or event."""
WORKER = {
    "SALESMATTER_LOST_AFTER_SECONDS": "1",
    "SALESMATTER_POLL_MILLISECONDS": "50",
    "SALESMATTER_PROVIDER_TIMEOUT_SECONDS": "0.7",
    "SALESMATTER_POOL_SIZE": "10",
}
# A killed worker costs the mails it has claimed their certainty: few at once, so that there are many deaths for all.
SHORT_LIVED = {**WORKER, "SALESMATTER_SEND_CONCURRENCY": "6"}


@dataclass(frozen=True, slots=True)
class Load:
    """How many deaths, crashes and leads (put in so many waves), how many tries of the race, and what must be seen."""

    deaths: int
    crashes: int
    leads: int
    waves: int
    tries: int
    least_emails: int
    least_covered: float | None


LOADS: dict[Size, Load] = {
    "small": Load(36, 1, 200, 4, 400, 250, None),
    "full": Load(1_000, 5, 7_000, 50, 10_000, 10_000, 0.9),
}


def run(size: Size, say: Say) -> list[Figure]:
    """Measure on servers made for it; raises StartError."""
    return measure(LOADS[size], say)


def measure(load: Load, say: Say) -> list[Figure]:
    """Kill and race so much; raises StartError."""
    with scratch_server() as server:
        figures = list(kill_workers(server, load, say))
    with scratch_server() as server:
        return [*figures, *race.measure(server.database, load.tries, say)]


def kill_workers(server: ScratchServer, load: Load, say: Say) -> Iterator[Figure]:
    """Yield what came of mails whose workers were killed; raises StartError."""
    clock = f"{time.time()},{datetime.now(UTC).isoformat()},{SPEED}"
    sandbox = ["everlytic.sandbox", "--seed", "1", "--clock", clock, "--switch", "hold_seconds=3"]
    for name, probability in FAULTS.items():
        sandbox += ["--scenario", f"{name}={probability}"]
    with staged(server.database, sandbox, SALESMATTER_CLOCK=clock) as stage:
        outreach = stage.outreach(unknownWaitHours=UNKNOWN_WAIT_HOURS)
        outreach.connect(stage.provider)
        sequence = outreach.write_sequence(STEPS)
        say(f"Killing workers {load.deaths:,} times, Postgres {load.crashes} times, on {load.leads:,} leads.")
        told = _Killing(server, stage, outreach, sequence, load, say).run()
        say(f"Working off what is left; {told['died']} deaths at {told['died_at']} of {told['reached']} lines reached.")
        stage.start_worker(**WORKER)
        _run_dry(stage, outreach)
        found = verdict(server.database, outreach, _ledger(stage, outreach), STEPS)
    for line in found.explained():
        say(line)
    yield from _figures(load, told, found)


class _Killing:
    """The time in which workers die: crashes and waves of leads come when so many have."""

    def __init__(
        self, server: ScratchServer, stage: Stage, outreach: Outreach, sequence: Steps, load: Load, say: Say
    ) -> None:
        self._server, self._stage, self._load, self._say = server, stage, load, say
        self._outreach, self._sequence = outreach, sequence
        self._heard: queue.Queue[str] = queue.Queue()

    def run(self) -> dict[str, Any]:
        """Return what the lives said at their end, and how many `died`."""
        load, died, waves, crashes = self._load, 0, 0, 0
        with Processes(lambda _name, line: self._heard.put(line)) as processes:
            processes.start(self._program())
            while True:
                while waves < load.waves and waves * load.deaths <= died * load.waves:
                    self._put(waves)
                    waves += 1
                if crashes < load.crashes and died * (load.crashes + 1) >= (crashes + 1) * load.deaths:
                    self._server.crash()
                    crashes += 1
                    self._say(f"{died:,} deaths; Postgres was killed and is back.")
                told = self._next()
                if "reached" in told:
                    return {**told, "died": died, "crashes": crashes}
                died = told["died"]

    def _put(self, wave: int) -> None:
        leads, waves = self._load.leads, self._load.waves
        number = leads * (wave + 1) // waves - leads * wave // waves
        self._outreach.put(number, self._sequence, 0, datetime.now(UTC))

    def _next(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads(self._heard.get(timeout=SILENT_SECONDS))
        except queue.Empty:
            raise BenchFailed(f"No worker died for {SILENT_SECONDS:.0f} s; see bench-lives.log.") from None
        return told

    def _program(self) -> Program:
        whole = self._stage.program(
            "lives", ["-m", "benchmarks.lives", str(self._load.deaths), str(AT_ONCE), str(LIFE_SECONDS)], **SHORT_LIVED
        )
        shell, option, _, log, python, *arguments = whole.command
        # What they say is heard; what goes wrong in them is kept.
        command = [shell, option, 'exec "$@" 2>"$0"', log, python or sys.executable, *arguments]
        return Program(whole.name, command, whole.environment, whole.directory)


def _run_dry(stage: Stage, outreach: Outreach) -> None:
    """Wait until nothing is due, called or looked up any more; what is open after a while the verdict will tell."""
    deadline = time.monotonic() + DRY_SECONDS
    while time.monotonic() < deadline:
        stage.processes.check()
        busy = httpx.get(f"{stage.provider}/__sandbox__/state", trust_env=False).json()["due_now"]
        if not busy and not open_work(stage.database, outreach):
            return
        time.sleep(LOOK_SECONDS)


def _ledger(stage: Stage, outreach: Outreach) -> list[str]:
    """Return the message id of each mail that the provider took, as often as it took it."""
    url = f"{stage.provider}/__sandbox__/ledger"
    answer = httpx.get(url, params={"username": outreach.username}, timeout=60.0, trust_env=False)
    return [mail["message_id"] for mail in answer.raise_for_status().json()]


def _figures(load: Load, told: Mapping[str, Any], found: Verdict) -> Iterator[Figure]:
    yield Figure("workers killed", told["died"], "", at_least=load.deaths)
    yield Figure(
        "lines of the send path they died at, beside those they came to",
        told["died_at"],
        "",
        told["reached"],
        at_least=load.least_covered,
    )
    yield Figure("crashes of Postgres meanwhile", told["crashes"], "", at_least=load.crashes)
    yield Figure("emails", found.emails, "", at_least=load.least_emails)
    yield Figure("accepted by the provider", found.accepted, "")
    for name, number in found.outcomes.items():
        yield Figure(f"of them {name}", number, "")
    for name, wrong in found.wrong.items():
        yield Figure(name, len(wrong), "", at_most=0)
