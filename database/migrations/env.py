"""How Alembic reaches the database: on the connection it is handed, or by DATABASE_URL."""

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.dialects.postgresql.base import ischema_names

import database.models  # noqa: F401 - registers every table on the metadata
from database.base import APP_SCHEMA, PROVIDER_SCHEMA, Base, Xid8
from database.roles import owner_url
from database.settings import DatabaseSettings

# SQLAlchemy does not know the type, and would warn at each reflection.
ischema_names.setdefault("xid8", Xid8)

OURS = {APP_SCHEMA, PROVIDER_SCHEMA}


def include_name(name: str | None, type_: str, _parents: object) -> bool:
    """Compare only the schemas that migrations own; `analytics` belongs to dbt."""
    return type_ != "schema" or name in OURS


def run(connection: Connection) -> None:
    """Run the migrations in one transaction on `connection`."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_schemas=True,
        include_name=include_name,
        compare_server_default=True,
        version_table_schema="public",
    )
    with context.begin_transaction():
        context.run_migrations()


handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    with create_engine(owner_url(DatabaseSettings().direct_url())).connect() as opened:
        run(opened)
