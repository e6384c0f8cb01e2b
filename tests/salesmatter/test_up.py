"""Tests of the services that `salesmatter up` starts, and their environment."""

import pytest
from sqlalchemy.engine import make_url

from salesmatter.ports import find_free_port
from salesmatter.stack import Database
from salesmatter.up import UpOptions, _Probe, build_services
from tests.receiver import Receiver, receiver

__all__ = ["receiver"]

LINK_VARIABLES = ("SALESMATTER_DAGSTER_URL", "SALESMATTER_DBT_DOCS_URL")


@pytest.mark.parametrize(
    ("dagster_port", "docs_port", "expected"),
    [
        (3001, 8082, ["http://127.0.0.1:3001", "http://127.0.0.1:8082"]),
        (None, 8082, [None, "http://127.0.0.1:8082"]),
        (3001, None, ["http://127.0.0.1:3001", None]),
        (None, None, [None, None]),
    ],
)
def test_only_started_services_are_linked(
    monkeypatch: pytest.MonkeyPatch, dagster_port: int | None, docs_port: int | None, expected: list[str | None]
) -> None:
    """The API gets the URL of each service that is started, and none of a service that is left out."""
    for name in LINK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    url = make_url("postgresql+psycopg://owner@127.0.0.1:1/nowhere")
    services = build_services(UpOptions("0.0.0.0", 8001, 8002, dagster_port, docs_port), Database(url, url))
    (api,) = [service.program for service in services if service.program.name == "api"]
    assert [api.environment.get(name) for name in LINK_VARIABLES] == expected


def test_each_service_has_its_command_and_health_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """The services start in this order; with a wildcard host the health URLs use 127.0.0.1."""
    for name in LINK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    url = make_url("postgresql+psycopg://owner@127.0.0.1:1/nowhere")
    services = build_services(UpOptions("0.0.0.0", 8001, 8002, 3001, 8082), Database(url, url))
    commands = {service.program.name: " ".join(service.program.command[1:]) for service in services}
    assert list(commands) == ["api", "worker", "sandbox", "dagster", "daemon", "docs"]
    assert commands["api"] == "-m salesmatter api --host 0.0.0.0 --port 8001"
    assert commands["worker"] == "-m salesmatter worker"
    assert commands["sandbox"] == "-m salesmatter sandbox --host 0.0.0.0 --port 8002"
    assert commands["dagster"].startswith("-m dagster_webserver -h 0.0.0.0 -p 3001 -w ")
    assert commands["daemon"].startswith("-m dagster._daemon run -w ")
    assert commands["docs"] == "-m salesmatter docs --host 0.0.0.0 --port 8082"
    assert {service.program.name: service.health_url for service in services} == {
        "api": "http://127.0.0.1:8001/health/ready",
        "worker": None,
        "sandbox": "http://127.0.0.1:8002/__sandbox__/state",
        "dagster": "http://127.0.0.1:3001/server_info",
        "daemon": None,
        "docs": "http://127.0.0.1:8082",
    }
    # Two seconds less than the time after which processes are killed.
    assert {service.program.environment["SALESMATTER_STOP_WITHIN_SECONDS"] for service in services} == {"6.0"}


def test_the_environment_of_the_user_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL or a stop time in the environment is passed on; the database is the one that `up` has opened."""
    monkeypatch.setenv("SALESMATTER_PUBLIC_URL", "https://public.example")
    monkeypatch.setenv("SALESMATTER_STOP_WITHIN_SECONDS", "1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@elsewhere.example/d")
    url = make_url("postgresql+psycopg://owner:p@127.0.0.1:1/nowhere")
    for service in build_services(UpOptions("127.0.0.1", 8001, 8002, None, None), Database(url, url)):
        environment = service.program.environment
        assert environment["SALESMATTER_PUBLIC_URL"] == "https://public.example"
        assert environment["SALESMATTER_STOP_WITHIN_SECONDS"] == "1"
        assert environment["DATABASE_URL"] == "postgresql://owner:p@127.0.0.1:1/nowhere"


@pytest.mark.parametrize(
    ("status", "is_ready"),
    [(200, True), (204, True), (299, True), (300, False), (404, False), (500, False), (503, False)],
)
def test_a_service_is_ready_if_it_answers_with_2xx(receiver: Receiver, status: int, is_ready: bool) -> None:
    """Any 2xx means ready; a server that answers 503 is not ready."""
    receiver.answer = lambda _: status
    assert _Probe(receiver.url).is_ready() is is_ready


def test_a_service_that_does_not_listen_is_not_ready() -> None:
    """A closed port is not an error, but the service is not ready."""
    assert not _Probe(f"http://127.0.0.1:{find_free_port()}").is_ready()
