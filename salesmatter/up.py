"""`salesmatter up`: runs all services on one machine with one log stream, until Ctrl-C."""

import os
import sys
import time
from dataclasses import dataclass

import httpx

from egress.settings import allow_loopback
from orchestration.instance import write_instance_config
from salesmatter import checkout
from salesmatter.interrupts import interrupt_on_stop_signals
from salesmatter.log_stream import LogStream
from salesmatter.ports import require_free_port
from salesmatter.processes import GRACE_SECONDS, Processes, Program
from salesmatter.stack import Database, open_migrated_database

READY_TIMEOUT_SECONDS = 180.0
PROBE_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The host and ports of the services; a port of None leaves a service out."""

    host: str
    api_port: int
    sandbox_port: int
    dagster_port: int | None
    docs_port: int | None


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the system; `health_url` answers with 2xx once it is ready, `page_url` is for users."""

    program: Program
    health_url: str | None = None
    page_url: str | None = None


def run(options: UpOptions) -> None:
    """Start all services and run until interrupted; raises StartError and DatabaseError."""
    _require_free_ports(options)
    interrupt_on_stop_signals()
    stream = LogStream()
    started = time.monotonic()
    with open_migrated_database() as database, Processes(stream.write_line) as processes:
        if options.dagster_port is not None:
            write_instance_config(checkout.ensure_state_dir() / "dagster", database.direct)
        services = build_services(options, database)
        for service in services:
            processes.start(service.program)
        for service in services:
            if service.health_url is not None:
                processes.wait_for(service.program.name, _Probe(service.health_url).is_ready, READY_TIMEOUT_SECONDS)
        _log_ready(stream, services, time.monotonic() - started)
        processes.watch()


def build_services(options: UpOptions, database: Database) -> list[Service]:
    """Return the services in their start order."""
    host = "127.0.0.1" if options.host in {"0.0.0.0", "::"} else options.host  # noqa: S104 - compared, not bound
    api, sandbox = f"http://{host}:{options.api_port}", f"http://{host}:{options.sandbox_port}"
    linked_ports = {"SALESMATTER_DAGSTER_URL": options.dagster_port, "SALESMATTER_DBT_DOCS_URL": options.docs_port}
    urls = {name: f"http://{host}:{port}" for name, port in linked_ports.items() if port is not None}
    urls["SALESMATTER_PUBLIC_URL"] = api
    stop_time = {"SALESMATTER_STOP_WITHIN_SECONDS": str(GRACE_SECONDS - 2)}
    environment = {**urls, **stop_time, **os.environ, **allow_loopback(), **database.to_environment()}

    def build_program(name: str, *arguments: str) -> Program:
        command = [sys.executable, "-m", "salesmatter", name, *arguments]
        return Program(name, command, environment, checkout.find_root())

    listen = ("--host", options.host, "--port")
    sandbox_program = build_program("sandbox", *listen, str(options.sandbox_port))
    services = [
        Service(build_program("api", *listen, str(options.api_port)), f"{api}/health/ready", f"{api}/docs"),
        Service(build_program("worker")),
        Service(sandbox_program, f"{sandbox}/__sandbox__/state", sandbox),
    ]
    if options.dagster_port is not None:
        dagster = f"http://{host}:{options.dagster_port}"
        services += _build_dagster_services(options.host, options.dagster_port, dagster, environment)
    if options.docs_port is not None:
        docs = f"http://{host}:{options.docs_port}"
        services.append(Service(build_program("docs", *listen, str(options.docs_port)), docs, docs))
    return services


def _build_dagster_services(host: str, port: int, url: str, environment: dict[str, str]) -> list[Service]:
    """Return Dagster's web server, which has the user interface, and its daemon, which runs the schedules."""
    environment = {**environment, "DAGSTER_HOME": str(checkout.ensure_state_dir() / "dagster")}
    workspace = ("-w", str(checkout.find_root() / "workspace.yaml"))

    def build_program(name: str, *command: str) -> Program:
        return Program(name, [sys.executable, "-m", *command, *workspace], environment, checkout.find_root())

    return [
        Service(build_program("dagster", "dagster_webserver", "-h", host, "-p", str(port)), f"{url}/server_info", url),
        Service(build_program("daemon", "dagster._daemon", "run")),
    ]


class _Probe:
    """Requests a URL to find out whether its service is ready."""

    def __init__(self, url: str) -> None:
        self._url = url

    def is_ready(self) -> bool:
        try:
            return httpx.get(self._url, timeout=PROBE_TIMEOUT_SECONDS, trust_env=False).is_success
        except httpx.HTTPError:
            return False


def _require_free_ports(options: UpOptions) -> None:
    for port, name in (
        (options.api_port, "api"),
        (options.sandbox_port, "sandbox"),
        (options.dagster_port, "dagster"),
        (options.docs_port, "docs"),
    ):
        if port is not None:
            require_free_port(options.host, port, f"--{name}-port", f"SALESMATTER_{name.upper()}_PORT")


def _log_ready(stream: LogStream, services: list[Service], seconds: float) -> None:
    urls = "  ".join(f"{service.program.name} {service.page_url}" for service in services if service.page_url)
    stream.write_line("up", f"Ready after {seconds:.0f} s: {urls}  (Ctrl-C stops all services)")
