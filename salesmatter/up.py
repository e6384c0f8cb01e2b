"""`salesmatter up`: the whole system on one machine, in one log stream, until Ctrl-C."""

import os
import sys
import time
from dataclasses import dataclass

import httpx

from orchestration.instance import write_instance_config
from salesmatter import checkout
from salesmatter.interrupts import end_as_if_interrupted
from salesmatter.log_stream import LogStream
from salesmatter.ports import require_free
from salesmatter.processes import GRACE_SECONDS, Processes, Program
from salesmatter.stack import Database, open_migrated_database

READY_WITHIN_SECONDS = 180.0
PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """The ports to serve at; None leaves a part out."""

    host: str
    api_port: int
    sandbox_port: int
    dagster_port: int | None
    docs_port: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the system: `health` is what answers once it is ready, `shown` what people open."""

    program: Program
    health: str | None = None
    shown: str | None = None


def run(wanted: Wanted) -> None:
    """Start everything and go on until interrupted; raises StartError and DatabaseError."""
    _require_ports(wanted)
    end_as_if_interrupted()
    stream = LogStream()
    started = time.monotonic()
    with open_migrated_database() as database, Processes(stream.hear) as processes:
        if wanted.dagster_port is not None:
            write_instance_config(checkout.state() / "dagster", database.direct)
        parts = parts_of(wanted, database)
        for part in parts:
            processes.start(part.program)
        for part in parts:
            if part.health is not None:
                processes.wait_for(part.program.name, _Probe(part.health).answers, READY_WITHIN_SECONDS)
        _say_ready(stream, parts, time.monotonic() - started)
        processes.watch()


def parts_of(wanted: Wanted, database: Database) -> list[Part]:
    """Return the processes of the system, in the order they start."""
    host = "127.0.0.1" if wanted.host in {"0.0.0.0", "::"} else wanted.host  # noqa: S104 - recognised, not bound
    api, sandbox = f"http://{host}:{wanted.api_port}", f"http://{host}:{wanted.sandbox_port}"
    linked = {"SALESMATTER_DAGSTER_URL": wanted.dagster_port, "SALESMATTER_DBT_DOCS_URL": wanted.docs_port}
    addresses = {name: f"http://{host}:{port}" for name, port in linked.items() if port is not None}
    addresses["SALESMATTER_PUBLIC_URL"] = api
    stopping = {"SALESMATTER_STOP_WITHIN_SECONDS": str(GRACE_SECONDS - 2)}
    environment = {**addresses, **stopping, **os.environ, **database.environment()}

    def own(name: str, *arguments: str) -> Program:
        command = [sys.executable, "-m", "salesmatter", *arguments]
        return Program(name, command, environment, checkout.root())

    listen = ("--host", wanted.host, "--port")
    parts = [
        Part(own("api", "api", *listen, str(wanted.api_port)), f"{api}/health/ready", f"{api}/docs"),
        Part(own("worker", "worker")),
        Part(own("sandbox", "sandbox", *listen, str(wanted.sandbox_port)), f"{sandbox}/__sandbox__/state", sandbox),
    ]
    if wanted.dagster_port is not None:
        parts += _dagster_parts(wanted.host, wanted.dagster_port, f"http://{host}:{wanted.dagster_port}", environment)
    if wanted.docs_port is not None:
        docs = f"http://{host}:{wanted.docs_port}"
        parts.append(Part(own("docs", "docs", *listen, str(wanted.docs_port)), docs, docs))
    return parts


def _dagster_parts(host: str, port: int, url: str, environment: dict[str, str]) -> list[Part]:
    """Return Dagster's web server, which people look at, and its daemon, which runs the schedules."""
    environment = {**environment, "DAGSTER_HOME": str(checkout.state() / "dagster")}
    workspace = ("-w", str(checkout.root() / "workspace.yaml"))

    def program(name: str, *command: str) -> Program:
        return Program(name, [sys.executable, "-m", *command, *workspace], environment, checkout.root())

    return [
        Part(program("dagster", "dagster_webserver", "-h", host, "-p", str(port)), f"{url}/server_info", url),
        Part(program("daemon", "dagster._daemon", "run")),
    ]


class _Probe:
    """Asks an address whether it answers."""

    def __init__(self, url: str) -> None:
        self._url = url

    def answers(self) -> bool:
        try:
            return httpx.get(self._url, timeout=PROBE_SECONDS, trust_env=False).is_success
        except httpx.HTTPError:
            return False


def _require_ports(wanted: Wanted) -> None:
    for port, name in (
        (wanted.api_port, "api"),
        (wanted.sandbox_port, "sandbox"),
        (wanted.dagster_port, "dagster"),
        (wanted.docs_port, "docs"),
    ):
        if port is not None:
            require_free(wanted.host, port, f"--{name}-port", f"SALESMATTER_{name.upper()}_PORT")


def _say_ready(stream: LogStream, parts: list[Part], seconds: float) -> None:
    shown = "  ".join(f"{part.program.name} {part.shown}" for part in parts if part.shown)
    stream.hear("up", f"Ready after {seconds:.0f} s: {shown}  (Ctrl-C ends all)")
