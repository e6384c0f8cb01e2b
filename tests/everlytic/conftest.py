"""A sandbox process, a receiver for what it posts, and an HTTP client on the test's loop."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.receiver import receiver
from tests.sandbox import sandbox

__all__ = ["http", "receiver", "sandbox"]


@pytest.fixture(autouse=True)
def _forgotten(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave nothing behind in the sandbox that could disturb the next test."""
    yield
    if "sandbox" in request.fixturenames:
        request.getfixturevalue("sandbox").forget()


@pytest.fixture
async def http(anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    """The transport a client is given."""
    async with httpx.AsyncClient(timeout=10) as opened:
        yield opened
