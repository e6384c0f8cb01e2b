"""The schema of our database in which Dagster keeps its own tables; Dagster makes the tables, not the schema."""

from sqlalchemy.engine import URL

from database.roles import connect

SCHEMA = "dagster"

_CREATE = "CREATE SCHEMA IF NOT EXISTS dagster"


def ensure_schema(database_url: URL) -> None:
    """Create the schema unless it is there; raises DatabaseUnreachable."""
    with connect(database_url) as connection:
        connection.execute(_CREATE)
