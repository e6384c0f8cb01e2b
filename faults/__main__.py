"""The command `python -m faults [AREA ...]`: plants faults, runs the tests of each, and prints those that escaped."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from database.embedded import start
from database.migrate import migrate
from database.roles import owner_url
from faults.collect import ROOT, find_source_faults, read_faults
from faults.fault import Fault
from faults.pool import run
from faults.report import MISSED, has_escaped, load_explanations, print_report
from faults.runner import Result, Verdict
from faults.schema import find_schema_faults
from faults.selection import Recording
from tests.postgres import create_database, new_home, remove_home

STATE = ROOT / ".salesmatter" / "faults"
RECORDING = Recording(STATE / "coverage", STATE / "durations.json")
RESULTS = STATE / "results.json"

_console = Console(soft_wrap=True)


def main() -> int:
    """Plant the faults that the arguments select; returns 1 when one escaped without an explanation."""
    arguments = _arguments()
    STATE.mkdir(parents=True, exist_ok=True)
    results = _load_results()
    faults = [fault for fault in _faults(arguments.areas, arguments.file) if int(fault.id, 16) % arguments.sample == 0]
    if arguments.list:
        for fault in faults:
            _console.print(
                f"{fault.id} {fault.path}:{fault.line} {fault.place}: {fault.kind}", markup=False, highlight=False
            )
        return 0
    if arguments.record or not RECORDING.coverage.exists():
        _record()
    skipped = set() if arguments.explained else load_explanations().keys()
    faults = [fault for fault in faults if fault.kind not in skipped and fault.kind in (arguments.kind or {fault.kind})]
    selected = [fault for fault in faults if _is_selected(fault, results, arguments.only)]
    _console.print(f"{len(faults)} faults, {len(selected)} to plant.")
    for number, result in enumerate(run(ROOT, RECORDING, selected, arguments.slots, arguments.seconds), start=1):
        results[result.fault_id] = result
        if number % 20 == 0:
            _console.print(f"{min(number, len(selected))} of {len(selected)}")
            _save(results)
    _save(results)
    print_report(faults, results, _console)
    reasons = load_explanations()
    return int(any(has_escaped(fault, results, reasons) for fault in faults))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument(
        "areas", nargs="*", help="for example domain, api/delivery/sending, dbt_project, schema; all when left out"
    )
    parser.add_argument("--file", type=Path, help="plant the faults of a JSON file: a list of {path, before, after}")
    parser.add_argument("--only", choices=["all", "new", "escaped"], default="all",
                        help="plant all faults, those without a result, or those that escaped last time")  # fmt: skip
    parser.add_argument("--kind", action="append", help='plant only faults of a kind: "row lock dropped"; repeatable')
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="plant about one in N, always the same ones")
    parser.add_argument("--seconds", type=float, default=60, help="about how long the tests of one fault may take")
    parser.add_argument("--slots", type=int, default=os.cpu_count() or 1, help="how many faults are tested at once")
    parser.add_argument(
        "--record", action="store_true", help="run the whole suite first, and record the lines that each test runs"
    )
    parser.add_argument("--explained", action="store_true", help="plant the kinds that explained.toml excuses as well")
    parser.add_argument("--list", action="store_true", help="print the faults and plant none")
    return parser.parse_args()


def _is_selected(fault: Fault, results: Mapping[str, Result], only: str) -> bool:
    result = results.get(fault.id)
    if only == "all" or result is None:
        return True
    return only == "escaped" and result.verdict in MISSED


def _save(results: Mapping[str, Result]) -> None:
    RESULTS.write_text(json.dumps({key: asdict(result) for key, result in results.items()}), encoding="utf-8")


def _load_results() -> dict[str, Result]:
    if not RESULTS.exists():
        return {}
    stored = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {key: Result(**{**value, "verdict": Verdict(value["verdict"])}) for key, value in stored.items()}


def _faults(areas: Sequence[str], file: Path | None) -> list[Fault]:
    if file is not None:
        return list(read_faults(ROOT, file))
    faults = list(find_source_faults(ROOT, areas))
    if areas and "schema" not in areas:
        return faults
    home = new_home()
    server = start(home, durable=False)
    try:
        url = create_database(server.url, "schema")
        migrate(owner_url(url))
        return [*faults, *find_schema_faults(url)]
    finally:
        server.stop()
        remove_home(home)


def _record() -> None:
    """Run the suite once and record the lines that each test runs."""
    _console.print("Running the suite once, to record the lines that each test runs.")
    command = [
        sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile", "--timeout=300",
        "-p", "faults.recording", "--cov", "--cov-context=test", "--cov-report=",
    ]  # fmt: skip
    files = {"COVERAGE_FILE": str(RECORDING.coverage), "FAULTS_DURATIONS": str(RECORDING.durations)}
    subprocess.run(command, cwd=ROOT, env=os.environ | files, check=False)  # noqa: S603 - our own interpreter


if __name__ == "__main__":
    sys.exit(main())
