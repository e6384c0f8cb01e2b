"""What the assets of every room reach for: the database as its owner, and the business clock."""

from datetime import date, datetime

import dagster as dg
import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from database.engine import create_pool
from database.roles import connect, owner_url
from orchestration.clock import parse_clock


class Database(dg.ConfigurableResource):  # type: ignore[type-arg] # Dagster's own documentation subclasses it bare
    """The database of DATABASE_URL, as its owner: row-level security does not bind what runs across tenants."""

    url: str

    def connect(self) -> psycopg.Connection:
        """Open a connection in autocommit mode; raises DatabaseUnreachable."""
        return connect(owner_url(self.url))

    def pool(self) -> AsyncEngine:
        """Open a small pool for what the database room does through sessions."""
        return create_pool(owner_url(self.url), size=1, application_name="orchestration")


class BusinessClock(dg.ConfigurableResource):  # type: ignore[type-arg] # as above
    """The business time; empty text is real time."""

    text: str = ""

    def now(self) -> datetime:
        """Return the business time now, in UTC."""
        return parse_clock(self.text).now()

    def today(self) -> date:
        """Return the business day (UTC) that it is now."""
        return parse_clock(self.text).today()
