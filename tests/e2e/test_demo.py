"""End-to-end tests of `salesmatter demo`, with part of its file and with invalid files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

LEADS = 60

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400, func_only=True)]


def run_demo(home: Path, file: Path, database_url: str) -> "subprocess.CompletedProcess[str]":
    """Run the demo with a file."""
    inherited = {n: value for n, value in os.environ.items() if not n.startswith(("SALESMATTER_", "DATABASE_"))}
    return subprocess.run(
        [sys.executable, "-m", "salesmatter", "demo", "--file", str(file)],
        cwd=ROOT,
        env={**inherited, "SALESMATTER_HOME": str(home), "DATABASE_URL": database_url, "COLUMNS": "160"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=380,
    )


def test_all_counts_agree(tmp_path: Path, database_url: str) -> None:
    """From a CSV file to the marts, the three sources have the same counts, and no mail is sent after a stop."""
    lines = (ROOT / "data" / "leads-1000.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    file = tmp_path / "leads.csv"
    file.write_text("".join(lines[: LEADS + 1]), encoding="utf-8")

    result = run_demo(tmp_path / "home", file, database_url)

    assert result.returncode == 0, result.stdout[-3000:] + result.stderr
    assert result.stderr == ""
    assert f"{LEADS} leads enrolled in 3 steps." in result.stdout
    assert "All asset checks passed." in result.stdout
    assert "Mailed after a stop: 0." in result.stdout
    agreements = next(line for line in result.stdout.splitlines() if line.strip().startswith("agree "))
    assert agreements.count("yes") == 7


def test_an_invalid_file_is_explained(tmp_path: Path, database_url: str) -> None:
    """An invalid file ends the demo with one sentence from the API and exit status 1; nothing is imported."""
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00")

    result = run_demo(tmp_path / "home", picture, database_url)

    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
