"""Dagster resources that assets share: the database, connected as its owner, and the business clock."""

from datetime import date, datetime

import dagster as dg
import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from database.engine import create_pool
from database.roles import connect, owner_url
from domain.clock import Clock


class Database(dg.ConfigurableResource):  # type: ignore[type-arg] # Dagster's own documentation subclasses it bare
    """The database of DATABASE_URL, as its owner: row-level security does not apply, because runs cover all tenants."""

    url: str

    def connect(self) -> psycopg.Connection:
        """Open a connection in autocommit mode; raises DatabaseUnreachable."""
        return connect(owner_url(self.url))

    def open_pool(self) -> AsyncEngine:
        """Open a pool of one connection, for code that needs a SQLAlchemy session."""
        return create_pool(owner_url(self.url), size=1, application_name="orchestration")


class BusinessClock(dg.ConfigurableResource):  # type: ignore[type-arg] # as above
    """The business clock; an empty text means real time."""

    text: str = ""

    def now(self) -> datetime:
        """Return the current business time in UTC."""
        return Clock.parse(self.text).now()

    def today(self) -> date:
        """Return the current business day in UTC."""
        return Clock.parse(self.text).today()
