"""`salesmatter up`, whole: it says when it is ready, answers, and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests import ROOT
from tests.business_clock import BUSINESS_ENVIRONMENT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300, func_only=True)]


def free() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mentioning(text: str) -> list[str]:
    """Command lines of running processes that work with this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes() + b" " + (entry / "environ").read_bytes()
        except OSError:
            continue
        if text.encode() in told:
            found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_up_starts_answers_and_ends(tmp_path: Path) -> None:
    """Every part answers once the ready line is out, and the front page links it where it is.

    SIGTERM ends all and leaves no process.
    """
    ports = {name: free() for name in ("api", "sandbox", "dagster", "docs")}
    command = [sys.executable, "-m", "salesmatter", "up"]
    command += [argument for name, port in ports.items() for argument in (f"--{name}-port", str(port))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SALESMATTER_", "DATABASE_"))}
    home = tmp_path / "home"
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**kept, **BUSINESS_ENVIRONMENT, "SALESMATTER_HOME": str(home)},
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
            linked = re.findall('href="(http[^"]+)"', page)
            found = {url: httpx.get(url, timeout=30, follow_redirects=True).status_code for url in linked}
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert answers == dict.fromkeys(ports, 200)
    assert found == {f"http://127.0.0.1:{ports[name]}": 200 for name in ("dagster", "docs")}
    assert all(str(port) in lines[-1] for port in ports.values())
    assert process.returncode == 130
    assert mentioning(str(home)) == []
