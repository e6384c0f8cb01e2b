"""Importing the demo's file: upload, look at the proposed mapping and the preview, commit, wait."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from salesmatter.demo.http_client import HttpClient
from salesmatter.errors import DemoFailed

COMMIT_SECONDS = 60.0
POLL_SECONDS = 0.1
SAMPLE_LENGTH = 34
OUTCOMES = {
    "new": "new",
    "updated": "updated",
    "duplicateInFile": "twice in the file",
    "duplicateInWorkspace": "known and unchanged",
    "suppressed": "suppressed",
    "invalid": "invalid",
}
"""How many rows come to what, and how that is said."""


def read_file(file: Path) -> bytes:
    """Return the content of a file of leads; raises DemoFailed."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise DemoFailed(f"The file of leads cannot be read: {file}: {error.strerror}.") from error


def import_leads(
    console: Console, api: HttpClient, workspace: str, name: str, content: bytes, check: Callable[[], None]
) -> dict[str, Any]:
    """Import a file of leads by the proposed mapping and return the finished import; raises DemoFailed."""
    place = f"/api/workspaces/{workspace}/imports"
    made = api.upload(place, name, content)
    console.print(_mapping(made["mapping"]))
    preview = api.get(f"{place}/{made['id']}/preview")
    told = ", ".join(f"{preview[name]:,} {said}" for name, said in OUTCOMES.items())
    console.print(f"{preview['rowCount']:,} rows: {told}")
    api.post(f"{place}/{made['id']}/commit")
    deadline = time.monotonic() + COMMIT_SECONDS
    while time.monotonic() < deadline:
        done: dict[str, Any] = api.get(f"{place}/{made['id']}")
        if done["state"] == "failed":
            raise DemoFailed(f"The import failed: {done['error']}.")
        if done["state"] == "committed":
            if not done["newCount"]:
                raise DemoFailed(f"{name} holds no lead that can be written to; nothing is left to show.")
            return done
        check()
        time.sleep(POLL_SECONDS)
    raise DemoFailed(f"The import was not committed within {COMMIT_SECONDS:.0f} s.")


def _mapping(columns: list[Mapping[str, Any]]) -> Table:
    table = Table(title="Proposed mapping", title_justify="left")
    table.add_column("column")
    table.add_column("becomes")
    table.add_column("confidence", justify="right")
    table.add_column("decided by")
    table.add_column("sample", style="dim")
    for one in columns:
        target = f"custom: {one['customName']}" if one["target"] == "custom" else one["target"]
        sample = (one["samples"] or [""])[0][:SAMPLE_LENGTH]
        table.add_row(one["header"], target, f"{one['confidence']:.0%}", one["decidedBy"], sample)
    return table
