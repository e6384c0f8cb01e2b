"""Starts a real Everlytic sandbox for tests, and the few moves that tests make on its control plane."""

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from everlytic.client import EverlyticClient
from tests import ROOT
from tests.business_clock import business_now


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: ``url`` is its origin, ``control`` a client of its control plane."""

    url: str
    control: httpx.Client
    process: subprocess.Popen[bytes]
    usernames: list[str] = field(default_factory=list)

    def new_username(self) -> str:
        """A new username without data."""
        username = f"tenant-{uuid.uuid4().hex[:12]}"
        self.usernames.append(username)
        return username

    def forget(self) -> None:
        """Drop the data of all usernames made so far, so that nothing of theirs is posted any more."""
        while self.usernames:
            self.tell("reset", username=self.usernames.pop())

    def client(self, http: httpx.AsyncClient, username: str, api_key: str | None = None) -> EverlyticClient:
        """The product's client for a username."""
        return EverlyticClient(
            http,
            transactional_url=f"{self.url}/transactional/email/v1",
            tenant_url=f"{self.url}/api/2.0",
            username=username,
            api_key=api_key or f"sandbox-key-{username}",
        )

    def ask(self, path: str, **query: str) -> Any:
        """GET something from the control plane."""
        return self.control.get(f"/__sandbox__/{path}", params=query).raise_for_status().json()

    def tell(self, path: str, **body: object) -> Any:
        """POST something to the control plane."""
        return self.control.post(f"/__sandbox__/{path}", json=body).raise_for_status().json()

    def advance(self, seconds: float) -> None:
        """Push the virtual clock forward."""
        self.tell("clock/advance", seconds=seconds)

    def wait_until(self, condition: Callable[[], bool], within: float = 10.0) -> None:
        """Poll until ``condition`` holds; fails after ``within`` real seconds."""
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"not so within {within} s; state: {self.ask('state')}"
            time.sleep(0.01)

    def settle(self, within: float = 10.0) -> None:
        """Wait until all due events have happened and each delivery was tried (failed ones wait for their retry)."""
        self.wait_until(lambda: self.ask("state")["due_now"] == 0, within)


@contextlib.contextmanager
def running_sandbox(*arguments: str) -> Iterator[Sandbox]:
    """Start ``python -m everlytic.sandbox --port 0`` with more arguments, and end it."""
    command = [sys.executable, "-m", "everlytic.sandbox", "--port", "0", "--until-stdin-closes", *arguments]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the sandbox ended with {process.wait()} before it was ready"
        url = json.loads(line)["url"]
        try:
            with httpx.Client(base_url=url, timeout=30) as control:
                yield Sandbox(url, control, process)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox per run, on business time that tests may push forward; each test takes a username of its own."""
    with running_sandbox("--seed", "1", "--start", business_now().isoformat()) as started:
        # Its clock began when the process was ready. With a clock that lags, events would happen before their mails.
        started.advance(max(0.0, business_now().timestamp() - started.ask("state")["now_epoch"]))
        yield started
