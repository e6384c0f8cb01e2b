"""Two workspaces of two accounts with one row of every table each: what one does must leave the other as it is."""

import itertools
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from database.base import Base
from database.tenancy import Scope
from tests.database.rows import NOW, Ids, fill_every_table, insert, row_for

__all__ = ["NOW", "TwoWorkspaces"]

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class TwoWorkspaces:
    """The workspace that acts and its neighbour, each by the ids of its rows, and the owner's own connection."""

    url: str
    owner: psycopg.Connection
    ids: Ids
    neighbour: Ids

    @classmethod
    def fill(cls, url: str, owner: psycopg.Connection) -> "TwoWorkspaces":
        """Insert both; the connection commits by itself."""
        return cls(url, owner, fill_every_table(owner, "acme"), fill_every_table(owner, "bolt"))

    @property
    def id(self) -> UUID:
        """The id of the workspace that acts."""
        return self.ids["app.workspaces"]

    @property
    def account_id(self) -> UUID:
        """The id of its account."""
        return self.ids["app.accounts"]

    @property
    def scope(self) -> Scope:
        """The scope of its transactions."""
        return Scope(account_id=self.ids["app.accounts"], workspace_id=self.id)

    def add(self, table: str, of: Ids | None = None, /, **values: Any) -> UUID:
        """Insert a further row, of the neighbour where its ids are given; what must be given besides is invented.

        Its id sorts behind those of all rows before it, also within one millisecond.
        """
        ids = dict(self.ids if of is None else of)
        described = Base.metadata.tables[table]
        own_id = {"id": next_id()} if "id" in described.c else {}
        insert(self.owner, described, row_for(described, ids, uuid4().hex) | own_id | values, ids)
        return ids[table]

    def add_enrollment(self, of: Ids | None = None, /, **values: Any) -> UUID:
        """Insert a lead of its own and its enrollment in the workspace's sequence."""
        return self.add("app.lead_enrollments", of, lead_id=self.add("app.leads", of), **values)

    def add_draft(self, of: Ids | None = None, /, **values: Any) -> UUID:
        """Insert a lead of its own, its enrollment, and a draft for it."""
        lead_id = self.add("app.leads", of)
        enrollment_id = self.add("app.lead_enrollments", of, lead_id=lead_id)
        sequence_id = (of or self.ids)["app.sequences"]
        owners = {"lead_id": lead_id, "enrollment_id": enrollment_id, "sequence_id": sequence_id}
        return self.add("app.email_drafts", of, **owners, **values)

    def add_released_claim(self, draft_id: UUID, /, **values: Any) -> None:
        """Insert a claim of a draft that was released."""
        described = Base.metadata.tables["app.released_claims"]
        row = row_for(described, self.ids, "") | {"draft_id": draft_id} | values
        insert(self.owner, described, row, dict(self.ids))

    def set(self, table: str, row_id: UUID, **values: Any) -> None:
        """Change a row and commit."""
        set_columns(self.owner, table, {row_id: values})


def next_id() -> UUID:
    """Return a UUIDv7 that is greater than all before it, of the database's too."""
    milliseconds = time.time_ns() // 1_000_000 + 1
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | next(_numbers))


def set_columns(connection: psycopg.Connection, table: str, rows: dict[UUID, dict[str, Any]]) -> None:
    """Change rows of a table by their ids, each to its own values."""
    for row_id, values in rows.items():
        assignments = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
        statement = sql.SQL("UPDATE {} SET {} WHERE id = %s").format(sql.Identifier(*table.split(".")), assignments)
        assert connection.execute(statement, [*values.values(), row_id]).rowcount == 1
