"""Connection pools, one per role."""

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def create_pool(url: URL, *, size: int = 10, application_name: str = "salesmatter") -> AsyncEngine:
    """Return an async engine of at most `size` connections.

    Prepared statements stay off: behind a pooler in transaction mode the next statement may meet another server
    connection.
    """
    return create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args={"prepare_threshold": None, "application_name": application_name, "connect_timeout": 10},
    )
