"""End-to-end test of `salesmatter up`: it prints when it is ready, its services answer, and no process remains."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from salesmatter.ports import find_free_port
from tests import ROOT
from tests.business_clock import BUSINESS_ENVIRONMENT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300, func_only=True)]


def find_processes(text: str) -> list[str]:
    """Return the command lines of running processes whose command line or environment contains the text."""
    commands = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            content = (entry / "cmdline").read_bytes() + b" " + (entry / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in content:
            commands.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return commands


@pytest.mark.skipif(sys.platform != "linux", reason="reads processes from /proc")
def test_up_starts_all_services_and_stops_them(tmp_path: Path) -> None:
    """All services answer after the ready line, and the front page links to them.

    SIGTERM stops all processes.
    """
    ports = {name: find_free_port() for name in ("api", "sandbox", "dagster", "docs")}
    command = [sys.executable, "-m", "salesmatter", "up"]
    command += [argument for name, port in ports.items() for argument in (f"--{name}-port", str(port))]
    inherited = {n: value for n, value in os.environ.items() if not n.startswith(("SALESMATTER_", "DATABASE_"))}
    home = tmp_path / "home"
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**inherited, **BUSINESS_ENVIRONMENT, "SALESMATTER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or "Ready after" not in lines[-1]:
            line = process.stdout.readline()
            assert line, "it ended before it was ready:\n" + "".join(lines[-30:])
            lines.append(line)
        try:
            answers = {
                name: httpx.get(f"http://127.0.0.1:{ports[name]}{path}", timeout=30).status_code
                for name, path in (
                    ("api", "/docs"),
                    ("sandbox", "/__sandbox__/state"),
                    ("dagster", "/server_info"),
                    ("docs", "/"),
                )
            }
            page = httpx.get(f"http://127.0.0.1:{ports['api']}/", timeout=30).text
            links = re.findall('href="(http[^"]+)"', page)
            link_statuses = {url: httpx.get(url, timeout=30, follow_redirects=True).status_code for url in links}
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert answers == dict.fromkeys(ports, 200)
    assert link_statuses == {f"http://127.0.0.1:{ports[name]}": 200 for name in ("dagster", "docs")}
    assert all(str(port) in lines[-1] for port in ports.values())
    assert process.returncode == 130
    assert find_processes(str(home)) == []
