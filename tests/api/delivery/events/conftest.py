"""A workspace that a provider tells of its mails."""

from uuid import UUID

import pytest

from api.http.resources import Services
from tests.api.delivery.events.worlds import Provider


@pytest.fixture
def provider(services: Services, workspace: str, database_url: str) -> Provider:
    """Speak to the test's workspace as Everlytic does."""
    return Provider(services, UUID(workspace), database_url)
