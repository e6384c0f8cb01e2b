"""A model server, and an app whose workflows ask it."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from ai.settings import AiSettings, Price
from tests.ai.stub_openai import Reply, StubOpenAI, run_stub

GREETING = {
    "subject": "Hello",
    "paragraphs": [[{"text": "Hello Thandi,", "sources": []}], [{"text": "how are you?", "sources": []}]],
}


@pytest.fixture
def stub() -> Iterator[StubOpenAI]:
    """Run a model server that writes a greeting to Thandi; an answer takes 100 tokens in and 20 out."""
    with run_stub() as stub:
        stub.set_replies(Reply(GREETING))
        yield stub


@pytest.fixture
def ai_settings(stub: StubOpenAI) -> AiSettings:
    """Let every workflow ask the model server."""
    return AiSettings(
        openai_api_key=SecretStr("test-key"),
        openai_base_url=stub.base_url,
        openai_model="small-model",
        openai_timeout_seconds=5,
        openai_max_retries=0,
        openai_max_output_tokens=500,
        openai_prices={"small-model": Price(input=1.0, output=10.0)},
        langfuse_public_key=None,
        langfuse_secret_key=None,
    )
