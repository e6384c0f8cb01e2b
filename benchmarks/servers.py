"""Servers to be measured, each a process of its own that ends with the bench."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from salesmatter import checkout
from salesmatter.errors import StartError
from salesmatter.ports import free_port
from salesmatter.processes import Processes, Program

READY_SECONDS = 60.0
LAST_LINES = 12
# A server that writes to a pipe would have the bench read it while it measures.
_INTO_FILE = 'exec "$@" >"$0" 2>&1'
NOBODY_ELSE = dict.fromkeys(
    ("OPENAI_API_KEY", "LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "OIDC_ISSUER", "SALESMATTER_CLOCK"), ""
)
"""Settings under which a server of ours calls nobody outside this machine, and lives in real time."""


@dataclass(frozen=True, slots=True)
class Server:
    """A Python module that serves HTTP at the port given by `--port`; it answers at `ready` as soon as it can."""

    name: str
    module: Sequence[str]
    ready: str
    environment: Mapping[str, str]


@contextmanager
def serving(*servers: Server) -> Iterator[list[int]]:
    """Start servers on free ports and give the ports; what they write goes to .salesmatter/logs. Raises StartError."""
    logs = checkout.state() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    ports = [free_port() for _ in servers]
    with Processes(lambda _name, _line: None) as processes:
        for server, port in zip(servers, ports, strict=True):
            processes.start(_program(server, port, logs / f"bench-{server.name}.log"))
        for server, port in zip(servers, ports, strict=True):
            url = f"http://127.0.0.1:{port}{server.ready}"
            try:
                processes.wait_for(server.name, lambda url=url: answers(url), READY_SECONDS)  # type: ignore[misc]
            except StartError as error:
                raise StartError(f"{error} {_last_words(logs, servers)}") from error
        yield ports
        processes.check()


def _program(server: Server, port: int, log: Path) -> Program:
    module, *arguments = server.module
    command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
    environment = {**NOBODY_ELSE, **server.environment}
    return Program(server.name, ["/bin/sh", "-c", _INTO_FILE, str(log), *command], environment, checkout.root())


def answers(url: str) -> bool:
    """Say whether a server is there and ready."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _last_words(logs: Path, servers: Sequence[Server]) -> str:
    said = []
    for server in servers:
        log = logs / f"bench-{server.name}.log"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
        said += [f"\n  {server.name}: {line}" for line in lines[-LAST_LINES:]]
    return "".join(said)
