"""Creates the schema for Dagster's own tables; Dagster creates the tables, but not the schema."""

from sqlalchemy.engine import URL

from database.roles import connect

SCHEMA = "dagster"

_CREATE_SCHEMA = "CREATE SCHEMA IF NOT EXISTS dagster"


def ensure_schema(database_url: URL) -> None:
    """Create the schema if it does not exist; raises DatabaseUnreachable."""
    with connect(database_url) as connection:
        connection.execute(_CREATE_SCHEMA)
