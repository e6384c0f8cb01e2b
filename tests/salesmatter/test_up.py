"""Which processes `salesmatter up` starts, and what they are told."""

import pytest
from sqlalchemy.engine import make_url

from salesmatter.ports import free_port
from salesmatter.stack import Database
from salesmatter.up import Wanted, _Probe, parts_of
from tests.receiver import Receiver, receiver

__all__ = ["receiver"]

LINKED = ("SALESMATTER_DAGSTER_URL", "SALESMATTER_DBT_DOCS_URL")


@pytest.mark.parametrize(
    ("dagster_port", "docs_port", "expected"),
    [
        (3001, 8082, ["http://127.0.0.1:3001", "http://127.0.0.1:8082"]),
        (None, 8082, [None, "http://127.0.0.1:8082"]),
        (3001, None, ["http://127.0.0.1:3001", None]),
        (None, None, [None, None]),
    ],
)
def test_only_what_runs_is_linked(
    monkeypatch: pytest.MonkeyPatch, dagster_port: int | None, docs_port: int | None, expected: list[str | None]
) -> None:
    """The API is told the address of each part at the port it runs at, and none of a part that is left out."""
    for name in LINKED:
        monkeypatch.delenv(name, raising=False)
    url = make_url("postgresql+psycopg://owner@127.0.0.1:1/nowhere")
    parts = parts_of(Wanted("0.0.0.0", 8001, 8002, dagster_port, docs_port), Database(url, url))
    (api,) = [part.program for part in parts if part.program.name == "api"]
    assert [api.environment.get(name) for name in LINKED] == expected


def test_each_part_is_started_and_watched_at_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part has its command, in this order, and what answers once it is ready; a wildcard is asked at home."""
    for name in LINKED:
        monkeypatch.delenv(name, raising=False)
    url = make_url("postgresql+psycopg://owner@127.0.0.1:1/nowhere")
    parts = parts_of(Wanted("0.0.0.0", 8001, 8002, 3001, 8082), Database(url, url))
    commands = {part.program.name: " ".join(part.program.command[1:]) for part in parts}
    assert list(commands) == ["api", "worker", "sandbox", "dagster", "daemon", "docs"]
    assert commands["api"] == "-m salesmatter api --host 0.0.0.0 --port 8001"
    assert commands["worker"] == "-m salesmatter worker"
    assert commands["sandbox"] == "-m salesmatter sandbox --host 0.0.0.0 --port 8002"
    assert commands["dagster"].startswith("-m dagster_webserver -h 0.0.0.0 -p 3001 -w ")
    assert commands["daemon"].startswith("-m dagster._daemon run -w ")
    assert commands["docs"] == "-m salesmatter docs --host 0.0.0.0 --port 8082"
    assert {part.program.name: part.health for part in parts} == {
        "api": "http://127.0.0.1:8001/health/ready",
        "worker": None,
        "sandbox": "http://127.0.0.1:8002/__sandbox__/state",
        "dagster": "http://127.0.0.1:3001/server_info",
        "daemon": None,
        "docs": "http://127.0.0.1:8082",
    }
    # Two seconds less than the processes are given before they are killed.
    assert {part.program.environment["SALESMATTER_STOP_WITHIN_SECONDS"] for part in parts} == {"6.0"}


def test_what_a_person_sets_counts_before_what_up_would_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address or a time to stop in the environment is passed on; the database is the one that `up` has opened."""
    monkeypatch.setenv("SALESMATTER_PUBLIC_URL", "https://public.example")
    monkeypatch.setenv("SALESMATTER_STOP_WITHIN_SECONDS", "1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@elsewhere.example/d")
    url = make_url("postgresql+psycopg://owner:p@127.0.0.1:1/nowhere")
    for part in parts_of(Wanted("127.0.0.1", 8001, 8002, None, None), Database(url, url)):
        environment = part.program.environment
        assert environment["SALESMATTER_PUBLIC_URL"] == "https://public.example"
        assert environment["SALESMATTER_STOP_WITHIN_SECONDS"] == "1"
        assert environment["DATABASE_URL"] == "postgresql://owner:p@127.0.0.1:1/nowhere"


@pytest.mark.parametrize(
    ("status", "is_ready"),
    [(200, True), (204, True), (299, True), (300, False), (404, False), (500, False), (503, False)],
)
def test_a_part_is_ready_when_it_answers_well(receiver: Receiver, status: int, is_ready: bool) -> None:
    """Any 2xx is ready; a server that is up and answers 503 is not."""
    receiver.answer = lambda _: status
    assert _Probe(receiver.url).answers() is is_ready


def test_a_part_that_is_not_there_is_not_ready() -> None:
    """A closed port is no error, but not ready."""
    assert not _Probe(f"http://127.0.0.1:{free_port()}").answers()
