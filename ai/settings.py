"""What the environment may say about models and tracing; read at the doors and passed down."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0)]


class Price(BaseModel):
    """What a model costs, in USD per million tokens."""

    input: float
    output: float


class AiSettings(BaseSettings):
    """Settings of this room. An empty variable counts as unset."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    openai_api_key: SecretStr | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    # Which of OpenAI's two interfaces is spoken; many a compatible server has chat completions alone.
    openai_api: Literal["responses", "chat"] = "responses"
    openai_model: str = "gpt-5.4-mini"
    openai_model_csv_mapping: str | None = None
    openai_model_email_generation: str | None = None
    openai_model_intent_classification: str | None = None
    openai_timeout_seconds: Seconds = 30.0
    openai_deadline_seconds: Seconds = 75.0  # for one answer, all attempts and pauses together
    openai_max_retries: Annotated[int, Field(ge=0, le=10)] = 2
    openai_max_output_tokens: Annotated[int, Field(ge=16)] = 4_000  # of one answer, what a model thinks included
    openai_concurrency: Annotated[int, Field(ge=1)] = 8
    # By model name; a model without a price has an unknown cost, not a cost of nothing.
    openai_prices: dict[str, Price] = {}

    langfuse_public_key: str | None = None
    langfuse_secret_key: SecretStr | None = None
    langfuse_base_url: str = "https://cloud.langfuse.com"
    # From the project's settings; traces are linked to without it too, by a page that looks the project up.
    langfuse_project_id: str | None = None
    langfuse_environment: str = "default"
    # Bounds what closing waits for when Langfuse is unreachable; runs never wait for it.
    langfuse_timeout_seconds: Annotated[int, Field(ge=1)] = 4

    def model_for(self, workflow: str) -> str:
        """Return the model a workflow asks: its own setting, or the general one."""
        own: str | None = getattr(self, f"openai_model_{workflow}", None)
        return own or self.openai_model
