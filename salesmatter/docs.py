"""Generates the dbt docs from the project and the database, and serves them as one self-contained page."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from orchestration.defs.dbt.project import DbtProject
from orchestration.errors import DbtFailed
from orchestration.settings import OrchestrationSettings
from salesmatter import checkout
from salesmatter.stack import Database


def generate_docs(database: Database) -> Path:
    """Build the models, so that a new database has marts to document, and generate the docs.

    Returns the folder to serve; raises DbtFailed.
    """
    settings = OrchestrationSettings()
    project = DbtProject(settings.dbt_project_dir, settings.dbt_target_path)
    results = project.build(database.direct, ["--resource-type", "model"])
    if failed := [str(result.node.name) for result in results if result.status == "error"]:
        raise DbtFailed(f"dbt could not build {', '.join(failed)}. See the log above.")
    page = project.generate_docs(database.direct)
    folder = checkout.ensure_state_dir() / "dbt-docs"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(page, folder / "index.html")
    return folder


def serve_docs(folder: Path, host: str, port: int) -> NoReturn:
    """Replace this process by a web server for `folder`, which frees the hundreds of megabytes that dbt uses."""
    command = [sys.executable, "-m", "http.server", str(port), "--bind", host, "--directory", str(folder)]
    os.execv(sys.executable, command)  # noqa: S606 - the current Python, no shell
