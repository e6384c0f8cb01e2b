"""Runs servers for measurements as processes that end with the benchmark."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from salesmatter import checkout
from salesmatter.errors import StartError
from salesmatter.ports import find_free_port
from salesmatter.processes import Processes, Program

READY_SECONDS = 60.0
LAST_LINES = 12
# To a file, because the benchmark would have to read a pipe during the measurement.
_INTO_FILE = 'exec "$@" >"$0" 2>&1'
ISOLATED_ENVIRONMENT = dict.fromkeys(
    ("OPENAI_API_KEY", "LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "OIDC_ISSUER", "SALESMATTER_CLOCK"), ""
)
"""Environment variables with which our servers call no external services and use the real clock."""


@dataclass(frozen=True, slots=True)
class Server:
    """A Python module that serves HTTP on the port of its option `--port`; `ready` is the path that shows readiness."""

    name: str
    module: Sequence[str]
    ready: str
    environment: Mapping[str, str]


@contextmanager
def run_servers(*servers: Server) -> Iterator[list[int]]:
    """Start servers on free ports, and yield the ports; their output goes to .salesmatter/logs. Raises StartError."""
    logs = checkout.ensure_state_dir() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    ports = [find_free_port() for _ in servers]
    with Processes(lambda _name, _line: None) as processes:
        for server, port in zip(servers, ports, strict=True):
            processes.start(_program(server, port, logs / f"bench-{server.name}.log"))
        for server, port in zip(servers, ports, strict=True):
            url = f"http://127.0.0.1:{port}{server.ready}"
            try:
                processes.wait_for(server.name, lambda url=url: is_ready(url), READY_SECONDS)  # type: ignore[misc]
            except StartError as error:
                raise StartError(f"{error} {_read_last_lines(logs, servers)}") from error
        yield ports
        processes.require_running()


def _program(server: Server, port: int, log: Path) -> Program:
    module, *arguments = server.module
    command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
    environment = {**ISOLATED_ENVIRONMENT, **server.environment}
    return Program(server.name, ["/bin/sh", "-c", _INTO_FILE, str(log), *command], environment, checkout.find_root())


def is_ready(url: str) -> bool:
    """Return whether a server responds with success."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _read_last_lines(logs: Path, servers: Sequence[Server]) -> str:
    output = []
    for server in servers:
        log = logs / f"bench-{server.name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        output += [f"\n  {server.name}: {line}" for line in lines[-LAST_LINES:]]
    return "".join(output)
