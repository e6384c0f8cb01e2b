"""A pytest plugin that writes the duration of each test to the file FAULTS_DURATIONS."""

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

_seconds: defaultdict[str, float] = defaultdict(float)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Sum the seconds of setup, call and teardown of a test that passed."""
    _seconds[report.nodeid] += report.duration
    if report.failed or report.skipped:
        _seconds[report.nodeid] = float("nan")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the seconds of all tests that passed; with xdist only the controller writes them."""
    if not hasattr(session.config, "workerinput"):
        passed = {test: seconds for test, seconds in _seconds.items() if seconds == seconds}  # noqa: PLR0124 - not NaN
        Path(os.environ["FAULTS_DURATIONS"]).write_text(json.dumps(passed), encoding="utf-8")
