"""What all tables share: ids, times, names of constraints, and status columns checked against the domain's enums."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

APP_SCHEMA = "app"
PROVIDER_SCHEMA = "everlytic"
ANALYTICS_SCHEMA = "analytics"


class Xid8(UserDefinedType[int]):
    """Postgres' 64-bit transaction id, which never wraps."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name in DDL."""
        return "xid8"


class Base(DeclarativeBase):
    """Every table of ours; those of the app live in schema `app` unless they say otherwise."""

    metadata = MetaData(
        schema=APP_SCHEMA,
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this class attribute as it is
        datetime: DateTime(timezone=True),
        str: Text(),
        UUID: PG_UUID(as_uuid=True),
        dict[str, Any]: JSONB(),
        list[str]: JSONB(),
        list[dict[str, Any]]: JSONB(),
    }


class Identified:
    """A UUIDv7 id, made by the database so that set-based inserts need no round trip."""

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("app.uuidv7()"), sort_order=-100)


class Created:
    """When the row was written, by the database's clock."""

    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), sort_order=100)


class Timestamped(Created):
    """When the row was written and last changed, by the database's clock; a trigger keeps `updated_at`."""

    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"), sort_order=101)


class SoftDeleted:
    """Rows that people delete and may want back."""

    deleted_at: Mapped[datetime | None] = mapped_column(sort_order=102)


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Return the check that keeps a text column within an enum; its name is the column's."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
