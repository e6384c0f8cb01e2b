"""Fixtures for a local model server, and for runs with and without it."""

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from ai.models import ModelAccess
from ai.run import RunContext
from ai.settings import AiSettings, Price
from tests.ai.stub_openai import StubOpenAI, run_stub


@pytest.fixture(scope="session")
def stub_server() -> Iterator[StubOpenAI]:
    """A model server for the whole session."""
    with run_stub() as stub:
        yield stub


@pytest.fixture
def stub(stub_server: StubOpenAI) -> StubOpenAI:
    """The model server with an empty script."""
    stub_server.set_replies()
    stub_server.answerer = None
    return stub_server


@pytest.fixture
def settings(stub: StubOpenAI) -> AiSettings:
    """Settings for the local model server, with short timeouts."""
    return AiSettings(
        openai_api_key=SecretStr("test-key"),
        openai_base_url=stub.base_url,
        openai_model="small-model",
        openai_timeout_seconds=1,
        openai_deadline_seconds=5,
        openai_max_retries=1,
        openai_prices={"small-model": Price(input=1.0, output=10.0)},
    )


@pytest.fixture
async def models(settings: AiSettings) -> AsyncIterator[ModelAccess]:
    """Access to the local model server."""
    access = ModelAccess(settings)
    yield access
    await access.close()


@pytest.fixture
def by_rules() -> RunContext:
    """The context of a run without a model."""
    return RunContext(workspace_id="workspace-1")


@pytest.fixture
def by_model(models: ModelAccess) -> RunContext:
    """The context of a run with the local model server."""
    return RunContext(workspace_id="workspace-1", actor="user-1", models=models)
