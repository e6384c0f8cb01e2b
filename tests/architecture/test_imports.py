"""Which room may import which: the contracts in pyproject.toml are kept, and each of them can say no."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from importlinter.api import read_configuration

from tests import ROOT
from tests.architecture import planting
from tests.architecture.tree import PACKAGES, called, sources


@dataclass(frozen=True, slots=True)
class Plant:
    """A forbidden import, the file it is planted into, and the id of the contract that is meant to catch it."""

    contract: str
    path: str
    statement: str

    def __str__(self) -> str:
        return f"{self.contract}-{self.path}-{self.statement.split()[1]}"


PLANTS = (
    Plant("floors", "orchestration/run.py", "from api.http.logs import JsonLines"),
    Plant("floors", "api/routes.py", "import orchestration.definitions"),
    Plant("floors", "ai/run.py", "from database.models import Lead"),
    Plant("floors", "database/jobs.py", "from ai.run import run"),
    Plant("floors", "domain/lead.py", "from database.models import Lead"),
    Plant("floors", "api/app.py", "from salesmatter.ports import free_port"),
    Plant("rules", "domain/schedule.py", "import sqlalchemy"),
    Plant("rules", "domain/suppression.py", "import pydantic"),
    Plant("outside", "salesmatter/environment.py", "import rich"),
    Plant("floors", "domain/lead.py", "from email_text.bounded_mime import parse_message"),
    Plant("email-text", "email_text/bounded_mime.py", "import pydantic"),
    Plant("email-text", "email_text/bounded_mime.py", "from everlytic.models import Mail"),
    Plant("network", "egress/policy.py", "from everlytic.client import EverlyticClient"),
    Plant("provider", "everlytic/client.py", "from domain.lead import LeadStatus"),
    Plant("provider", "everlytic/sandbox/recipients.py", "from database.base import Base"),
    Plant("provider", "everlytic/models.py", "import email_text.bounded_mime"),
    Plant("api-folders", "api/people/leads/service.py", "from api.outreach.enrollments import service as enrollments"),
    Plant("api-folders", "api/outreach/drafts/service.py", "from api.delivery.sending import service as sending"),
    Plant("api-folders", "api/delivery/slots/schedule.py", "from api.delivery.sending import eligibility"),
    Plant("api-folders", "api/http/pagination.py", "from api.people.leads.schemas import LeadOut"),
    Plant("api-folders", "api/http/resources.py", "from api.http.dependencies import Caller"),
    Plant("api-folders", "api/helpers.py", "import json"),
    Plant("api-folders", "api/meetings/__init__.py", "import json"),
    Plant("api-folders", "api/people/__init__.py", "from api.people.leads import service"),
    Plant("api-folders", "api/imports/files/kinds.py", "from api.imports import values"),
    Plant("own-repository", "api/people/leads/endpoints.py", "from api.people.lead_lists import repository"),
    Plant("own-repository", "api/people/leads/service.py", "from api.imports.repository import uploads"),
    Plant("endpoints", "api/outreach/drafts/endpoints.py", "from ai.run import run"),
    Plant("endpoints", "api/delivery/events/endpoints.py", "from everlytic.webhooks import parse_delivery"),
    Plant("services", "api/outreach/drafts/service.py", "from api.outreach.drafts.tasks import generate_draft"),
    Plant("services", "api/delivery/sending/service.py", "from api.delivery.sending import tasks"),
    Plant("services", "api/people/leads/service.py", "from fastapi import HTTPException"),
    Plant("repositories", "api/people/leads/repository.py", "from api.people.leads import service"),
    Plant("repositories", "api/delivery/events/repository.py", "from api.delivery.events.endpoints import router"),
    Plant("figures", "api/analytics/repository.py", "from database.models import EmailEvent"),
    Plant("figures", "api/analytics/service.py", "from api.people.leads import service as leads"),
    Plant("ai-floors", "ai/models.py", "from ai.registry import WORKFLOWS"),
    Plant("ai-floors", "ai/helpers.py", "import json"),
    Plant("workflows", "ai/workflows/csv_mapping/nodes.py", "from ai.workflows.email_generation import answers"),
    Plant("workflow-parts", "api/inbox/replies/service.py", "from ai.workflows.intent_classification import rules"),
    Plant("workflow-parts", "api/outreach/drafts/tasks.py", "import ai.workflows.email_generation.graph"),
    Plant("workflow-parts", "orchestration/run.py", "from ai.workflows.csv_mapping.state import Target"),
    Plant("tracing", "ai/workflows/email_generation/nodes.py", "from langfuse import observe"),
    Plant("tracing", "api/outreach/drafts/tasks.py", "import langfuse"),
    Plant("models", "api/inbox/replies/tasks.py", "from openai import AsyncOpenAI"),
    Plant("models", "orchestration/run.py", "import langgraph"),
    Plant("pipeline-tools", "api/analytics/service.py", "import dagster"),
    Plant("pipeline-tools", "database/migrate.py", "from dbt.cli.main import dbtRunner"),
    Plant("web-tools", "everlytic/client.py", "import fastapi"),
    Plant("web-tools", "database/engine.py", "from starlette.requests import Request"),
    Plant("sql-tools", "everlytic/models.py", "from sqlalchemy import text"),
    Plant("sql-tools", "ai/context.py", "import psycopg"),
    Plant("servers", "api/delivery/sending/tasks.py", "from everlytic.sandbox.app import create_app"),
    Plant("servers", "everlytic/client.py", "from everlytic.sandbox.clock import Clock"),
    Plant("servers", "orchestration/run.py", "from database.embedded import start"),
    Plant("floors", "salesmatter/ports.py", "from benchmarks.rounds import Plan"),
    Plant("tests", "salesmatter/ports.py", "from tests.sandbox import sandbox"),
    Plant("tests", "api/app.py", "from benchmarks.figures import Figure"),
)
CONFIGURATION = read_configuration(str(ROOT / "pyproject.toml"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a copy of the tree breaks as it is, by contract name, and which plants were caught."""

    without: list[str]
    caught: dict[Plant, bool]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Plant the imports one by one into a copy of the tree, each checked by its contract."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for name in ("__init__.py", "architecture/__init__.py", "architecture/contracts.py"):
        (copy / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests" / name, copy / "tests" / name)
    for source in sources(*PACKAGES, "benchmarks", "faults"):
        (copy / source.path).parent.mkdir(parents=True, exist_ok=True)
        (copy / source.path).write_text(source.text, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, planting.__file__],
        cwd=copy,
        input=json.dumps([(plant.contract, plant.path, plant.statement) for plant in PLANTS]),
        # The copy is to be found before the checkout; and a contract's name must stay on one line.
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    return Outcome(report["without"], dict(zip(PLANTS, report["caught"], strict=True)))


def test_the_contracts_are_kept(outcome: Outcome) -> None:
    """No import of ours goes where the design does not let it."""
    assert outcome.without == []


@pytest.mark.parametrize("plant", PLANTS, ids=str)
def test_a_planted_import_is_caught(outcome: Outcome, plant: Plant) -> None:
    """A forbidden import breaks the contract that is meant for it, which is kept without it."""
    assert outcome.caught[plant]


def test_every_contract_has_a_plant() -> None:
    """No contract is there that has not been seen to say no."""
    assert {plant.contract for plant in PLANTS} == {contract["id"] for contract in CONFIGURATION["contracts_options"]}


def test_planted_files_are_where_they_are_taken_to_be() -> None:
    """A plant stands in a file of ours, or in a new one on purpose, so that a moved file does not hide a weak wall."""
    known = {source.path for source in sources(*PACKAGES)}
    new = {plant.path for plant in PLANTS if plant.path not in known}
    assert new == {"api/helpers.py", "api/meetings/__init__.py", "ai/helpers.py"}


def test_every_package_is_behind_the_walls() -> None:
    """A new top-level package is not overlooked by the contracts."""
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert found == {*PACKAGES, "benchmarks", "faults"}
    assert set(CONFIGURATION["session_options"]["root_packages"]) == found


BY_NAME = {
    "ai/registry.py": "a workflow's graph is imported at its first run, by the name it is registered under",
    "database/embedded_binaries.py": "the folder of Postgres' programs is found; nothing is imported",
}


def test_modules_are_imported_by_statement() -> None:
    """Imports that the contracts cannot see, by name at run time, are the few that are known."""
    by_name = {"importlib.import_module", "importlib.util.find_spec", ".__import__", "importlib.reload"}
    found = {source.path for source in sources(*PACKAGES) for name, _ in called(source) if name in by_name}
    assert found == set(BY_NAME)


def test_a_plant_is_taken_away_again(tmp_path: Path) -> None:
    """One plant does not stand beside the next: a file is as it was, and a new one is gone."""
    old, new = tmp_path / "old.py", tmp_path / "room" / "new.py"
    old.write_text("import os\n", encoding="utf-8")
    with planting.planted(old, "import json"), planting.planted(new, "import json"):
        assert "import json" in old.read_text(encoding="utf-8")
        assert "import json" in new.read_text(encoding="utf-8")
    assert old.read_text(encoding="utf-8") == "import os\n"
    assert not new.exists()
