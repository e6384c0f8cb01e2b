"""What dbt's results become in Dagster, with a small project of which some models and tests fail."""

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
    "after.sql": "select n from {{ ref('broken') }}",
}
TESTS = {
    "passes.sql": "select n from {{ ref('good') }} where n = 2",
    "fails.sql": "select n from {{ ref('good') }} where n = 1",
    "warns.sql": "{{ config(severity='warn') }} select n from {{ ref('good') }} where n = 1",
    "is_broken.sql": "select n from {{ ref('good') }} where 1 / (n - 1) = 1",
}


@dataclass(frozen=True)
class Built:
    """What one build told Dagster, and the error it ended with."""

    told: list[dg.MaterializeResult[None] | dg.AssetCheckResult]
    error: DbtFailed

    def checks(self) -> dict[str | None, dg.AssetCheckResult]:
        """The checks by the name of their test."""
        return {one.check_name: one for one in self.told if isinstance(one, dg.AssetCheckResult)}


def write_project(folder: Path, models: Mapping[str, str] = MODELS, tests: Mapping[str, str] = TESTS) -> Path:
    """Write a dbt project that runs as ours does, with these models and tests."""
    for name, texts in (("models", models), ("tests", tests)):
        (folder / name).mkdir(parents=True)
        for file, text in texts.items():
            (folder / name / file).write_text(text)
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text((ROOT / "dbt_project" / "profiles.yml").read_text())
    return folder


@pytest.fixture(scope="module")
def built(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the small project once, as the asset of our own does."""
    from orchestration.defs.dbt.resources import Dbt  # noqa: PLC0415 - warns while it is imported
    from orchestration.defs.dbt.translator import FolderTranslator  # noqa: PLC0415 - as above

    folder, target = write_project(tmp_path_factory.mktemp("small")), tmp_path_factory.mktemp("target")
    manifest = read_manifest(DbtProject(folder, target).manifest(owner_url(postgres_url)))
    dbt = Dbt(url=postgres_url, project_dir=str(folder), target_path=str(target))
    context: Any = SimpleNamespace(is_subset=False)
    told: list[dg.MaterializeResult[None] | dg.AssetCheckResult] = []
    try:
        for result in dbt.build(context, manifest, FolderTranslator(), all_tests=True, full_refresh=False):
            told.append(result)  # noqa: PERF402 - what was told before the error is what the tests look at
    except DbtFailed as error:
        return Built(told, error)
    raise AssertionError("A build of broken models ended well.")


def test_a_model_that_fails_is_not_reported_as_built(built: Built) -> None:
    """Of a model that works, one without rows, one that breaks and one behind it, the first two are materialised."""
    materialised = {
        one.asset_key.path[-1]
        for one in built.told
        if isinstance(one, dg.MaterializeResult) and one.asset_key is not None
    }
    assert materialised == {"good", "empty"}


def test_each_test_is_a_check_with_its_severity(built: Built) -> None:
    """A test that passes, fails, warns or breaks is a check that passed or not, severe unless it only warns."""
    severe, mild = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    checks = built.checks()
    assert {name: (one.passed, one.severity) for name, one in checks.items()} == {
        "passes": (True, severe),
        "fails": (False, severe),
        "warns": (False, mild),
        "is_broken": (False, severe),
    }
    rows = {name: checks[name].metadata["failing_rows"].value for name in ("passes", "fails", "warns")}
    assert rows == {"passes": 0, "fails": 1, "warns": 1}


def test_a_build_ends_with_an_error_that_names_what_failed(built: Built) -> None:
    """A broken model, a failed test and a broken test are named; a warning, and what was skipped for them, is not."""
    sentence = str(built.error)
    assert sentence.startswith("dbt build failed in 3 of 8 nodes. ")
    named = {part.partition(":")[0] for part in sentence.partition("nodes. ")[2].split(" | ")}
    assert named == {"broken", "fails", "is_broken"}


def test_a_project_that_cannot_be_read_fails_and_is_read_again(tmp_path: Path) -> None:
    """A model that names no model fails the parse by name; mended it is parsed, and not again until a file changes."""
    folder = write_project(tmp_path / "project", {"good.sql": "select n from {{ ref('nothing') }}"}, {})
    project = DbtProject(folder, tmp_path / "target")
    for _ in range(2):
        with pytest.raises(DbtFailed, match=r"(?s)dbt parse failed: .*nothing"):
            project.manifest()
    (folder / "models" / "good.sql").write_text("select 1 as n")
    manifest = project.manifest()
    first = manifest.stat().st_mtime_ns
    assert project.manifest().stat().st_mtime_ns == first
    for file in ("other.sql", "notes.md", "more.yml"):
        (folder / "models" / file).write_text({"other.sql": "select 2 as n", "more.yml": "version: 2"}.get(file, ""))
        second = project.manifest().stat().st_mtime_ns
        assert second > first, file
        first = second
    assert "model.small.other" in json.loads(manifest.read_text())["nodes"]


def test_the_profile_is_that_of_the_database() -> None:
    """Every part of a URL goes to its variable; a port and an encryption that are not named are the usual ones."""
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


def test_dbt_leaves_the_environment_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the profile are back as they were after dbt has failed: the set one set, the unset ones unset."""
    monkeypatch.setenv("DBT_HOST", "mine")
    monkeypatch.delenv("DBT_PASSWORD", raising=False)
    folder = write_project(tmp_path / "project", {"good.sql": "select n from {{ ref('nothing') }}"}, {})
    with pytest.raises(DbtFailed):
        DbtProject(folder, tmp_path / "target").manifest(owner_url("postgresql://u:p@db.example/name"))
    assert (os.environ["DBT_HOST"], os.environ.get("DBT_PASSWORD")) == ("mine", None)


NEWEST = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "newest", "passed", "is_severe"),
    [
        ("pass", NEWEST, True, True),
        ("warn", NEWEST, False, False),
        ("error", NEWEST, False, True),
        ("runtime error", None, False, True),
        ("error", datetime(1, 1, 1, tzinfo=UTC), True, True),
        ("error", datetime(2, 1, 1, tzinfo=UTC), False, True),
    ],
)
def test_freshness_is_judged_as_dbt_judges_it(
    status: str, newest: datetime | None, passed: bool, is_severe: bool
) -> None:
    """Old rows fail, late rows warn, a source that could not be read fails, and one without rows passes."""
    from orchestration.defs.dbt.freshness import _judged  # noqa: PLC0415 - parses our project when it is imported

    result = SimpleNamespace(status=status, age=7200.0, message="the database is away")
    if newest is not None:
        result.max_loaded_at = newest
    check = _judged(dg.AssetKey(["app", "email_events"]), result)
    assert check.passed is passed
    assert check.severity == (dg.AssetCheckSeverity.ERROR if is_severe else dg.AssetCheckSeverity.WARN)
    answers: dict[datetime | None, str] = {None: "the database is away"}
    if newest is not None and newest.year == 1:
        answers[newest] = "Nothing has come yet, so nothing is old."
    if newest in answers:
        assert check.metadata["answer"].value == answers[newest]
    else:
        assert check.metadata["age_hours"].value == 2.0
