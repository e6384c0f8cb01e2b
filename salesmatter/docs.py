"""The dbt docs: generated from the project and the database, then served as one page that loads nothing."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from orchestration.defs.dbt.project import DbtProject
from orchestration.settings import OrchestrationSettings
from salesmatter import checkout
from salesmatter.stack import Database


def generate(database: Database) -> Path:
    """Write the docs of the database as it is now and return the folder to serve; raises DbtFailed."""
    settings = OrchestrationSettings()
    page = DbtProject(settings.dbt_project_dir, settings.dbt_target_path).docs(database.direct)
    folder = checkout.state() / "dbt-docs"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(page, folder / "index.html")
    return folder


def serve(folder: Path, host: str, port: int) -> NoReturn:
    """Become a small web server over `folder`; dbt's hundreds of megabytes go."""
    command = [sys.executable, "-m", "http.server", str(port), "--bind", host, "--directory", str(folder)]
    os.execv(sys.executable, command)  # noqa: S606 - our own Python, no shell
