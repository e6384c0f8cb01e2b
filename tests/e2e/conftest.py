"""Fixture that runs one end-to-end test at a time, because each starts as many processes as two cores can run."""

import fcntl
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def one_test_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Wait until no other pytest worker of this run has an end-to-end test running."""
    shared = tmp_path_factory.getbasetemp().parent
    with (shared / "e2e.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
