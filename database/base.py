"""Base class, mixins and constraint names that all tables share."""

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


class Xid8(UserDefinedType[int]):
    """The 64-bit transaction id of Postgres, which never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name in DDL."""
        return "xid8"


class Base(DeclarativeBase):
    """Base class of all tables; the schema is `app` unless the table sets another."""

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
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this class attribute
        datetime: DateTime(timezone=True),
        str: Text(),
        UUID: PG_UUID(as_uuid=True),
        dict[str, Any]: JSONB(),
        list[str]: JSONB(),
        list[dict[str, Any]]: JSONB(),
    }


class IdMixin:
    """Adds a UUIDv7 id that the database generates, so that set-based inserts need no round trip."""

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("app.uuidv7()"), sort_order=-100)


class CreatedAtMixin:
    """Adds the insert time, by the database clock."""

    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), sort_order=100)


class TimestampMixin(CreatedAtMixin):
    """Adds the insert time and the last update time, by the database clock; a trigger sets `updated_at`."""

    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"), sort_order=101)


class SoftDeleteMixin:
    """Adds the time of a deletion that users can undo."""

    deleted_at: Mapped[datetime | None] = mapped_column(sort_order=102)


def enum_check(column: str, values: type[StrEnum]) -> CheckConstraint:
    """Return a check constraint that limits a text column to the values of an enum; it is named after the column."""
    allowed_values = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed_values})", name=column)
