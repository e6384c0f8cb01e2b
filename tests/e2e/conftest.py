"""One whole product at a time: each of these starts as many processes as a machine of two cores can feed."""

import fcntl
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def one_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Wait until no other worker of this run has a whole product running."""
    shared = tmp_path_factory.getbasetemp().parent
    with (shared / "e2e.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
