"""A database in which dbt has built empty marts with their grants, policies and functions."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from database.migrate import migrate
from database.roles import owner_url
from tests import ROOT
from tests.postgres import ensure_template

TEMPLATE = "salesmatter_marts"


@pytest.fixture(scope="session")
def marts_template(postgres_url: str) -> str:
    """Build the template once per run, with the real migrations and the real dbt project, and return its name."""
    ensure_template(postgres_url, TEMPLATE, _build)
    return TEMPLATE


def _build(url: str) -> None:
    migrate(owner_url(url))
    parts = urlsplit(url)
    environment = {
        "DBT_HOST": parts.hostname or "",
        "DBT_PORT": str(parts.port),
        "DBT_USER": parts.username or "",
        "DBT_PASSWORD": unquote(parts.password or ""),
        "DBT_DBNAME": parts.path.removeprefix("/"),
        "DO_NOT_TRACK": "1",
    }
    with tempfile.TemporaryDirectory() as scratch:
        project = ("--project-dir", "dbt_project", "--profiles-dir", "dbt_project")
        places = ("--target-path", f"{scratch}/target", "--log-path", f"{scratch}/logs")
        dbt = Path(sys.executable).with_name("dbt")
        subprocess.run(
            [dbt, "run", "--quiet", *project, *places], cwd=ROOT, env={**os.environ, **environment}, check=True
        )
