"""Asks a language model for an answer of a given form, within limits of time, attempts and concurrency."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from ai.errors import ModelUnavailable
from ai.settings import AiSettings, Price

if TYPE_CHECKING:
    from openai.types.responses import ParsedResponse

__all__ = ["ModelAccess", "ModelAnswer", "ModelUnavailable", "Usage", "model_access"]

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one or more answers took; `cost` is in USD, None where the model's price is not known."""

    model: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None

    def __add__(self, later: "Usage") -> "Usage":
        known = [cost for cost in (self.cost, later.cost) if cost is not None]
        whole = bool(known) and (self.cost is not None or self.tokens_in == 0) and later.cost is not None
        return Usage(
            model=later.model or self.model,
            tokens_in=self.tokens_in + later.tokens_in,
            tokens_out=self.tokens_out + later.tokens_out,
            cost=sum(known) if whole else None,
        )


@dataclass(frozen=True)
class ModelAnswer(Generic[Answer]):
    """A model's answer in the form that was asked for, and what it took."""

    parsed: Answer
    usage: Usage


def model_access(settings: AiSettings) -> "ModelAccess | None":
    """Return access to the configured models, or None when there is no key."""
    return ModelAccess(settings) if settings.openai_api_key else None


class ModelAccess:
    """One client for all workflows of a process, any OpenAI-compatible server behind it."""

    def __init__(self, settings: AiSettings) -> None:
        # Imported here: it takes a second, and a process without a key never needs it.
        from openai import AsyncOpenAI  # noqa: PLC0415

        assert settings.openai_api_key is not None
        self._settings = settings
        self._client = AsyncOpenAI(
            api_key=settings.openai_api_key.get_secret_value(),
            base_url=settings.openai_base_url,
            timeout=settings.openai_timeout_seconds,
            max_retries=settings.openai_max_retries,
        )
        self._places = asyncio.Semaphore(settings.openai_concurrency)

    def model_for(self, workflow: str) -> str:
        """Return the name of the model that a workflow asks."""
        return self._settings.model_for(workflow)

    async def ask(self, workflow: str, *, instructions: str, data: str, answer: type[Answer]) -> ModelAnswer[Answer]:
        """Return the model's answer to `instructions` over `data`, in the form `answer`; ModelUnavailable otherwise."""
        from openai import APIStatusError, APITimeoutError, OpenAIError  # noqa: PLC0415

        model = self.model_for(workflow)
        try:
            async with self._places, asyncio.timeout(self._settings.openai_deadline_seconds):
                response = await self._client.responses.parse(
                    model=model,
                    instructions=instructions,
                    input=data,
                    text_format=answer,
                    store=False,  # leads' data is not left with the provider
                )
        except (APITimeoutError, TimeoutError) as error:
            raise ModelUnavailable(f"The model {model} did not answer in time.") from error
        except APIStatusError as error:
            raise ModelUnavailable(f"The model {model} answered with HTTP status {error.status_code}.") from error
        except (ValidationError, ValueError) as error:
            raise ModelUnavailable(f"The model {model} answered in another form than agreed.") from error
        except OpenAIError as error:
            raise ModelUnavailable(f"The model {model} cannot be reached: {error}") from error
        return ModelAnswer(parsed=_parsed(response, model), usage=self._usage(response, model))

    async def close(self) -> None:
        """Close the connections to the model server."""
        await self._client.close()

    def _usage(self, response: "ParsedResponse[Answer]", model: str) -> Usage:
        if response.usage is None:
            return Usage(model=model)
        tokens_in, tokens_out = response.usage.input_tokens, response.usage.output_tokens
        return Usage(
            model, tokens_in, tokens_out, _cost(self._settings.openai_prices.get(model), tokens_in, tokens_out)
        )


def _parsed(response: "ParsedResponse[Answer]", model: str) -> Answer:
    if response.status == "incomplete":
        raise ModelUnavailable(f"The model {model} stopped in the middle of its answer.")
    if response.output_parsed is None:
        raise ModelUnavailable(f"The model {model} declined to answer.")
    return response.output_parsed


def _cost(price: Price | None, tokens_in: int, tokens_out: int) -> float | None:
    if price is None:
        return None
    return round((tokens_in * price.input + tokens_out * price.output) / 1_000_000, 8)
