"""The dbt docs: generated from the project and the database, then served as one page that loads nothing."""

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


def generate(database: Database) -> Path:
    """Build the models, so that a new database has marts to document and to serve; write the docs of the database.

    Returns the folder to serve; raises DbtFailed.
    """
    settings = OrchestrationSettings()
    project = DbtProject(settings.dbt_project_dir, settings.dbt_target_path)
    results = project.build(database.direct, ["--resource-type", "model"])
    if failed := [str(result.node.name) for result in results if result.status == "error"]:
        raise DbtFailed(f"dbt could not build {', '.join(failed)}; the log above says why.")
    page = project.docs(database.direct)
    folder = checkout.state() / "dbt-docs"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(page, folder / "index.html")
    return folder


def serve(folder: Path, host: str, port: int) -> NoReturn:
    """Become a small web server over `folder`; dbt's hundreds of megabytes go."""
    command = [sys.executable, "-m", "http.server", str(port), "--bind", host, "--directory", str(folder)]
    os.execv(sys.executable, command)  # noqa: S606 - our own Python, no shell
