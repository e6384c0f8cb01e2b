"""The real app on real HTTP, with its worker, a sandbox and a database."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.api.conftest import (
    RunJobs,
    ai_settings,
    api_key,
    api_settings,
    app,
    bound_socket,
    connector,
    imports,
    listener,
    open_apps,
    outreach,
    run_jobs,
    sandbox,
    served,
    services,
    workspace,
)
from tests.trials.trial import Trial, trial

__all__ = [
    "RunJobs",
    "Trial",
    "ai_settings",
    "api_key",
    "api_settings",
    "app",
    "bound_socket",
    "connector",
    "imports",
    "listener",
    "open_apps",
    "outreach",
    "run_jobs",
    "sandbox",
    "served",
    "services",
    "trial",
    "workspace",
]


@pytest.fixture
async def app_client(served: str, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Speak real HTTP to the app as an admin of the account."""
    headers = {"Authorization": f"Bearer {api_key}"}
    async with httpx.AsyncClient(base_url=served, headers=headers, timeout=30) as client:
        yield client
