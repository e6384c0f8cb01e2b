"""Imports the demo's file of leads: upload, proposed mapping, preview, commit."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from salesmatter.demo.http_client import HttpClient
from salesmatter.errors import DemoFailed

COMMIT_TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.1
SAMPLE_LENGTH = 34
OUTCOME_LABELS = {
    "new": "new",
    "updated": "updated",
    "duplicateInFile": "duplicate in the file",
    "duplicateInWorkspace": "already in the workspace",
    "suppressed": "suppressed",
    "invalid": "invalid",
}
"""The preview's counts and their labels."""


def read_file(file: Path) -> bytes:
    """Return the content of a file of leads; raises DemoFailed."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise DemoFailed(f"The file {file} cannot be read: {error.strerror}.") from error


def import_leads(
    console: Console,
    api: HttpClient,
    workspace_id: str,
    name: str,
    content: bytes,
    require_running: Callable[[], None],
) -> dict[str, Any]:
    """Import a file of leads with the proposed mapping and return the committed import; raises DemoFailed."""
    imports_path = f"/api/workspaces/{workspace_id}/imports"
    upload = api.upload(imports_path, name, content)
    import_path = f"{imports_path}/{upload['id']}"
    console.print(_build_mapping_table(upload["mapping"]))
    preview = api.get(f"{import_path}/preview")
    counts = ", ".join(f"{preview[outcome]:,} {label}" for outcome, label in OUTCOME_LABELS.items())
    console.print(f"{preview['rowCount']:,} rows: {counts}")
    api.post(f"{import_path}/commit")
    deadline = time.monotonic() + COMMIT_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        lead_import: dict[str, Any] = api.get(import_path)
        if lead_import["state"] == "failed":
            raise DemoFailed(f"The import failed: {lead_import['error']}.")
        if lead_import["state"] == "committed":
            if not lead_import["newCount"]:
                raise DemoFailed(f"{name} contains no new lead that can be emailed. Choose another file.")
            return lead_import
        require_running()
        time.sleep(POLL_SECONDS)
    raise DemoFailed(f"The import was not committed within {COMMIT_TIMEOUT_SECONDS:.0f} s.")


def _build_mapping_table(columns: list[Mapping[str, Any]]) -> Table:
    table = Table(title="Proposed mapping", title_justify="left")
    table.add_column("column")
    table.add_column("becomes")
    table.add_column("confidence", justify="right")
    table.add_column("decided by")
    table.add_column("sample", style="dim")
    for column in columns:
        target = f"custom: {column['customName']}" if column["target"] == "custom" else column["target"]
        sample = (column["samples"] or [""])[0][:SAMPLE_LENGTH]
        table.add_row(column["header"], target, f"{column['confidence']:.0%}", column["decidedBy"], sample)
    return table
