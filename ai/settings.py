"""Reads the settings of models and tracing from the environment."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0)]


class Price(BaseModel):
    """The price of a model in USD per million tokens."""

    input: float
    output: float


class AiSettings(BaseSettings):
    """Settings of models and tracing. An empty variable counts as unset."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    openai_api_key: SecretStr | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    # Which of OpenAI's two APIs is called; many compatible servers have only chat completions.
    openai_api: Literal["responses", "chat"] = "responses"
    openai_model: str = "gpt-5.4-mini"
    openai_model_csv_mapping: str | None = None
    openai_model_email_generation: str | None = None
    openai_model_intent_classification: str | None = None
    openai_timeout_seconds: Seconds = 30.0
    openai_deadline_seconds: Seconds = 75.0  # for one answer, with all attempts and pauses
    openai_max_retries: Annotated[int, Field(ge=0, le=10)] = 2
    openai_max_output_tokens: Annotated[int, Field(ge=16)] = 4_000  # of one answer, with reasoning tokens
    openai_concurrency: Annotated[int, Field(ge=1)] = 8
    # By model name; the cost of a model without a price is unknown, not zero.
    openai_prices: dict[str, Price] = {}

    langfuse_public_key: str | None = None
    langfuse_secret_key: SecretStr | None = None
    langfuse_base_url: str = "https://cloud.langfuse.com"
    # Optional: without it, links to traces go through a Langfuse page that finds the project.
    langfuse_project_id: str | None = None
    langfuse_environment: str = "default"
    # Limits the wait of closing when Langfuse is unreachable; runs never wait for it.
    langfuse_timeout_seconds: Annotated[int, Field(ge=1)] = 4

    def model_for(self, workflow: str) -> str:
        """Return the model of a workflow: its own setting, or the general one."""
        workflow_model: str | None = getattr(self, f"openai_model_{workflow}", None)
        return workflow_model or self.openai_model
