"""Where Dagster keeps its runs and events: a schema of our own database, written down in DAGSTER_HOME/dagster.yaml."""

import json
from pathlib import Path

from sqlalchemy.engine import URL

from orchestration.defs.operations.storage import SCHEMA, ensure_schema


def write_instance_config(home: Path, database_url: URL) -> None:
    """Write `home`/dagster.yaml, readable by its owner only, and create the schema it names; repeatable.

    `database_url` must be direct: a pooler drops the search path. Raises DatabaseUnreachable.
    """
    ensure_schema(database_url)
    home.mkdir(parents=True, exist_ok=True)
    path = home / "dagster.yaml"
    path.touch(mode=0o600)
    path.write_text(json.dumps(instance_config(database_url), indent=2) + "\n", encoding="utf-8")


def instance_config(database_url: URL) -> dict[str, object]:
    """Return dagster.yaml as data (JSON is YAML): storage in Postgres, nothing that calls home, one dbt at a time."""
    # dagster-postgres needs psycopg2: SQLAlchemy would take psycopg 3 for a bare postgresql://.
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
