"""A measured server that exits fails the benchmark."""

from pathlib import Path

import httpx
import pytest

from benchmarks.servers import Server, is_ready, run_servers
from salesmatter.errors import StartError
from salesmatter.ports import find_free_port
from tests.receiver import Receiver, receiver

__all__ = ["receiver"]

ENDS = [("0", 0), ("1", 1), ("SIGTERM", 143), ("SIGKILL", 137)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the logs to a temporary directory."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path))


def server(end: str, when: str) -> Server:
    """Return a server that exits with `end`, at once or on request."""
    return Server("measured", ("tests.benchmarks.ending_server", end, when), "/", {})


def end_during_measurement(end: str) -> None:
    """Start the server and end it during the measurement."""
    with run_servers(server(end, "late")) as (port,):
        httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).raise_for_status()
        httpx.get(f"http://127.0.0.1:{port}/end", trust_env=False).raise_for_status()
        while is_ready(f"http://127.0.0.1:{port}/"):
            pass


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_a_server_that_ends_during_the_measurement_is_an_error(end: str, status: int) -> None:
    """An exit with 0 fails the benchmark, like an exit with 1 or by a signal."""
    with pytest.raises(StartError, match=f"The measured process ended with status {status} "):
        end_during_measurement(end)


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_a_server_that_ends_before_it_is_ready_is_an_error_with_its_log(end: str, status: int) -> None:
    """The error has the status and the last lines of its log."""
    expected = rf"(?s)The measured process ended with status {status} .*measured: This server ends with {end}\."
    with pytest.raises(StartError, match=expected), run_servers(server(end, "early")):
        pass


@pytest.mark.parametrize(("status", "expected"), [(200, True), (299, True), (300, False), (503, False)])
def test_a_server_is_ready_when_it_responds_with_success(receiver: Receiver, status: int, expected: bool) -> None:
    """A server is ready with any 2xx status; with another status or without a listener it is not."""
    receiver.answer = lambda _: status
    assert is_ready(receiver.url) is expected
    assert not is_ready(f"http://127.0.0.1:{find_free_port()}")
