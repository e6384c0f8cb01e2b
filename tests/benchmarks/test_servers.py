"""The servers that are measured: one that ends, however it ends, ends the bench."""

from pathlib import Path

import httpx
import pytest

from benchmarks.servers import Server, answers, serving
from salesmatter.errors import StartError
from salesmatter.ports import free_port
from tests.receiver import Receiver, receiver

__all__ = ["receiver"]

ENDS = [("0", 0), ("1", 1), ("SIGTERM", 143), ("SIGKILL", 137)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the logs of this test's servers to itself."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path))


def server(end: str, when: str) -> Server:
    """A server that ends so, at once or when it is told to."""
    return Server("measured", ("tests.benchmarks.ending_server", end, when), "/", {})


def end_while_it_is_measured(end: str) -> None:
    """Start the server, have it end, and go on measuring nothing."""
    with serving(server(end, "late")) as (port,):
        httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).raise_for_status()
        httpx.get(f"http://127.0.0.1:{port}/end", trust_env=False).raise_for_status()
        while answers(f"http://127.0.0.1:{port}/"):
            pass


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_a_server_that_ends_while_it_is_measured_is_no_figure(end: str, status: int) -> None:
    """An end with 0 spoils what was measured as much as one with 1 or by a signal."""
    with pytest.raises(StartError, match=f"The measured process ended with status {status} "):
        end_while_it_is_measured(end)


@pytest.mark.parametrize(("end", "status"), ENDS)
def test_a_server_that_ends_before_it_is_ready_is_told_with_its_last_words(end: str, status: int) -> None:
    """The status and the last lines of its log stand in the sentence."""
    expected = rf"(?s)The measured process ended with status {status} .*measured: This server ends with {end}\."
    with pytest.raises(StartError, match=expected), serving(server(end, "early")):
        pass


@pytest.mark.parametrize(("status", "is_there"), [(200, True), (299, True), (300, False), (503, False)])
def test_a_server_is_there_when_it_answers_well(receiver: Receiver, status: int, is_there: bool) -> None:
    """Any 2xx is ready, anything else is not; a port that nobody listens on is not either."""
    receiver.answer = lambda _: status
    assert answers(receiver.url) is is_there
    assert not answers(f"http://127.0.0.1:{free_port()}")
