"""Tests of how dbt's results are reported to Dagster, with a small project of which some models and tests fail."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from database.roles import owner_url
from orchestration.defs.dbt.project import DbtProject, profile_variables, read_manifest
from orchestration.errors import DbtFailed
from orchestration.settings import ROOT

pytestmark = pytest.mark.filterwarnings("default")  # dbt's own deprecations are not ours to fail on

PROJECT = """
name: small
version: "1.0.0"
config-version: 2
profile: salesmatter
flags: {send_anonymous_usage_stats: false}
"""
MODELS: Mapping[str, str] = {
    "good.sql": "select 1 as n",
    "empty.sql": "select 1 as n where false",
    "broken.sql": "{{ config(materialized='table') }} select 1 / 0 as n",
    "downstream.sql": "select n from {{ ref('broken') }}",
}
TESTS = {
    "passes.sql": "select n from {{ ref('good') }} where n = 2",
    "fails.sql": "select n from {{ ref('good') }} where n = 1",
    "warns.sql": "{{ config(severity='warn') }} select n from {{ ref('good') }} where n = 1",
    "is_broken.sql": "select n from {{ ref('good') }} where 1 / (n - 1) = 1",
}


@dataclass(frozen=True)
class FailedBuild:
    """The events that one build reported to Dagster, and the error that it raised."""

    events: list[dg.MaterializeResult[None] | dg.AssetCheckResult]
    error: DbtFailed

    def checks(self) -> dict[str | None, dg.AssetCheckResult]:
        """Return the checks by the name of their test."""
        return {event.check_name: event for event in self.events if isinstance(event, dg.AssetCheckResult)}


def write_project(folder: Path, models: Mapping[str, str] = MODELS, tests: Mapping[str, str] = TESTS) -> Path:
    """Write a dbt project with our profile and with these models and tests."""
    for name, texts in (("models", models), ("tests", tests)):
        (folder / name).mkdir(parents=True)
        for file, text in texts.items():
            (folder / name / file).write_text(text)
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text((ROOT / "dbt_project" / "profiles.yml").read_text())
    return folder


@pytest.fixture(scope="module")
def failed_build(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> FailedBuild:
    """Build the small project once, as the asset dbt_models does."""
    from orchestration.defs.dbt.resources import Dbt  # noqa: PLC0415 - warns while it is imported
    from orchestration.defs.dbt.translator import FolderTranslator  # noqa: PLC0415 - as above

    folder, target = write_project(tmp_path_factory.mktemp("small")), tmp_path_factory.mktemp("target")
    manifest = read_manifest(DbtProject(folder, target).ensure_manifest(owner_url(postgres_url)))
    dbt = Dbt(url=postgres_url, project_dir=str(folder), target_path=str(target))
    context: Any = SimpleNamespace(is_subset=False)
    events: list[dg.MaterializeResult[None] | dg.AssetCheckResult] = []
    try:
        for event in dbt.build(context, manifest, FolderTranslator(), all_tests=True, full_refresh=False):
            events.append(event)  # noqa: PERF402 - the events before the error are what the tests check
    except DbtFailed as error:
        return FailedBuild(events, error)
    raise AssertionError("The build of broken models raised no error.")


def test_a_model_that_fails_is_not_reported_as_built(failed_build: FailedBuild) -> None:
    """A working model and one without rows are materialised; a broken model and the model downstream of it are not."""
    materialised = {
        event.asset_key.path[-1]
        for event in failed_build.events
        if isinstance(event, dg.MaterializeResult) and event.asset_key is not None
    }
    assert materialised == {"good", "empty"}


def test_each_test_is_a_check_with_its_severity(failed_build: FailedBuild) -> None:
    """A test that passes, fails, warns or breaks is a check; its severity is an error unless the test only warns."""
    error, warning = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    checks = failed_build.checks()
    assert {name: (check.passed, check.severity) for name, check in checks.items()} == {
        "passes": (True, error),
        "fails": (False, error),
        "warns": (False, warning),
        "is_broken": (False, error),
    }
    rows = {name: checks[name].metadata["failing_rows"].value for name in ("passes", "fails", "warns")}
    assert rows == {"passes": 0, "fails": 1, "warns": 1}


def test_a_build_raises_an_error_that_names_the_failures(failed_build: FailedBuild) -> None:
    """A broken model, a failed test and a broken test are named; a warning and skipped nodes are not."""
    sentence = str(failed_build.error)
    assert sentence.startswith("dbt build failed in 3 of 8 nodes. ")
    named = {part.partition(":")[0] for part in sentence.partition("nodes. ")[2].split(" | ")}
    assert named == {"broken", "fails", "is_broken"}


def test_the_project_is_parsed_again_after_an_error_or_a_change(tmp_path: Path) -> None:
    """A reference to a missing model fails the parse; a corrected project is parsed once, until a file changes."""
    folder = write_project(tmp_path / "project", {"good.sql": "select n from {{ ref('nothing') }}"}, {})
    project = DbtProject(folder, tmp_path / "target")
    for _ in range(2):
        with pytest.raises(DbtFailed, match=r"(?s)dbt parse failed: .*nothing"):
            project.ensure_manifest()
    (folder / "models" / "good.sql").write_text("select 1 as n")
    manifest = project.ensure_manifest()
    first = manifest.stat().st_mtime_ns
    assert project.ensure_manifest().stat().st_mtime_ns == first
    for file in ("other.sql", "notes.md", "more.yml"):
        (folder / "models" / file).write_text({"other.sql": "select 2 as n", "more.yml": "version: 2"}.get(file, ""))
        second = project.ensure_manifest().stat().st_mtime_ns
        assert second > first, file
        first = second
    assert "model.small.other" in json.loads(manifest.read_text())["nodes"]


def test_the_profile_is_taken_from_the_database_url() -> None:
    """Each part of the URL sets its variable; port and sslmode have defaults."""
    url = owner_url("postgresql://u:p%40s@db.example:6543/name?sslmode=require")
    assert profile_variables(url) == {
        "DBT_HOST": "db.example",
        "DBT_PORT": "6543",
        "DBT_USER": "u",
        "DBT_PASSWORD": "p@s",
        "DBT_DBNAME": "name",
        "DBT_SSLMODE": "require",
    }
    plain = profile_variables(owner_url("postgresql://u:p@db.example/name"))
    assert (plain["DBT_PORT"], plain["DBT_SSLMODE"]) == ("5432", "prefer")


def test_dbt_restores_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After dbt has failed, the profile's variables have their previous values, or are unset as before."""
    monkeypatch.setenv("DBT_HOST", "mine")
    monkeypatch.delenv("DBT_PASSWORD", raising=False)
    folder = write_project(tmp_path / "project", {"good.sql": "select n from {{ ref('nothing') }}"}, {})
    with pytest.raises(DbtFailed):
        DbtProject(folder, tmp_path / "target").ensure_manifest(owner_url("postgresql://u:p@db.example/name"))
    assert (os.environ["DBT_HOST"], os.environ.get("DBT_PASSWORD")) == ("mine", None)


NEWEST = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "newest", "passed", "is_error"),
    [
        ("pass", NEWEST, True, True),
        ("warn", NEWEST, False, False),
        ("error", NEWEST, False, True),
        ("runtime error", None, False, True),
        ("error", datetime(1, 1, 1, tzinfo=UTC), True, True),
        ("error", datetime(2, 1, 1, tzinfo=UTC), False, True),
    ],
)
def test_the_freshness_check_follows_dbts_status(
    status: str, newest: datetime | None, passed: bool, is_error: bool
) -> None:
    """Stale rows fail, late rows warn, a source that could not be read fails, and a source without rows passes."""
    from orchestration.defs.dbt.freshness import _build_check_result  # noqa: PLC0415 - parses our project when it is imported

    result = SimpleNamespace(status=status, age=7200.0, message="the database is away")
    if newest is not None:
        result.max_loaded_at = newest
    check = _build_check_result(dg.AssetKey(["app", "email_events"]), result)
    assert check.passed is passed
    assert check.severity == (dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN)
    messages: dict[datetime | None, str] = {None: "the database is away"}
    if newest is not None and newest.year == 1:
        messages[newest] = "The source has no rows yet."
    if newest in messages:
        assert check.metadata["message"].value == messages[newest]
    else:
        assert check.metadata["age_hours"].value == 2.0
