"""Fixtures: a sandbox process, a receiver for its webhooks, and an HTTP client on the test's event loop."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.receiver import receiver
from tests.sandbox import sandbox

__all__ = ["http", "receiver", "sandbox"]


@pytest.fixture(autouse=True)
def _reset_sandbox(request: pytest.FixtureRequest) -> Iterator[None]:
    """Delete the data of the test's usernames in the sandbox."""
    yield
    if "sandbox" in request.fixturenames:
        request.getfixturevalue("sandbox").forget()


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client."""
    async with httpx.AsyncClient(timeout=10) as client:
        yield client
