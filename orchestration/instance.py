"""Writes DAGSTER_HOME/dagster.yaml, which makes Dagster store runs and events in a schema of our database."""

import json
from pathlib import Path

from sqlalchemy.engine import URL

from orchestration.defs.operations.storage import SCHEMA, ensure_schema


def write_instance_config(home: Path, database_url: URL) -> None:
    """Write `home`/dagster.yaml, readable by its owner only, and create the schema it names; idempotent.

    `database_url` must not go through a pooler, which drops the search path. Raises DatabaseUnreachable.
    """
    ensure_schema(database_url)
    home.mkdir(parents=True, exist_ok=True)
    path = home / "dagster.yaml"
    path.touch(mode=0o600)
    path.write_text(json.dumps(build_instance_config(database_url), indent=2) + "\n", encoding="utf-8")


def build_instance_config(database_url: URL) -> dict[str, object]:
    """Return dagster.yaml as data (JSON is YAML): storage in Postgres, no telemetry, one dbt step at a time."""
    # dagster-postgres needs psycopg2; for a bare postgresql:// SQLAlchemy would use psycopg 3.
    storage = database_url.set(drivername="postgresql+psycopg2").update_query_dict(
        {"options": f"-csearch_path={SCHEMA}"}
    )
    return {
        "storage": {"postgres": {"postgres_url": storage.render_as_string(hide_password=False)}},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "concurrency": {"pools": {"default_limit": 1}},
        "run_monitoring": {"enabled": True, "start_timeout_seconds": 300},
        "retention": {"schedule": {"purge_after_days": 30}},
    }
