"""Tests of dagster.yaml: where Dagster stores its runs."""

import stat
from pathlib import Path

import dagster as dg
import pytest

from database.roles import connect, owner_url
from orchestration.instance import write_instance_config

pytestmark = pytest.mark.filterwarnings("default")  # Dagster's own deprecations are not ours to fail on


@dg.job
def nothing() -> None:
    """Do nothing."""


def test_runs_are_stored_in_a_schema_of_our_database(database_url: str, tmp_path: Path) -> None:
    """The instance stores a run in schema dagster, sends no telemetry, and only its owner can read the password."""
    url = owner_url(database_url)
    write_instance_config(tmp_path, url)
    write_instance_config(tmp_path, url)
    assert stat.S_IMODE((tmp_path / "dagster.yaml").stat().st_mode) == 0o600
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = instance.create_run_for_job(nothing)
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        instance.dispose()
    with connect(url) as connection:
        assert connection.execute("SELECT run_id FROM dagster.runs").fetchall() == [(run.run_id,)]
        others = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert others == [("alembic_version",)]
