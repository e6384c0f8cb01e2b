"""Asks a language model for an answer of a given form, within limits of time, attempts and concurrency."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from ai.errors import ModelUnavailable
from ai.settings import AiSettings, Price
from ai.usage import Usage
from domain.bounded_json import parse_json

Answer = TypeVar("Answer", bound=BaseModel)
MOST_BYTES_PER_TOKEN, MOST_AROUND = 32, 65_536
"""Bytes of an answer as it travels: more than a token takes, its letters escaped, and than what stands around them."""
PLAUSIBLE = range(100_000_000)
"""Token counts that are believed: what a server counts wrongly is unknown, not stored."""
_Told: TypeAlias = tuple[bytes, Callable[[], Answer | None]]
"""The body of a server's answer, and how the model's answer is read from it."""
UNAUTHORISED, FORBIDDEN, NOT_FOUND = 401, 403, 404

CHARACTERS_PER_TOKEN = 3
"""Fewer than models usually read, so that what is reserved for a question is rather too much."""


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

        model, usage = self.model_for(workflow), Usage()
        question = self._in_chat if self._settings.openai_api == "chat" else self._in_responses
        try:
            async with self._places, asyncio.timeout(self._settings.openai_deadline_seconds):
                content, read = await question(model, instructions, data, answer)
            body = parse_json(content)
            # Before the answer is read: one in another form than agreed is paid for too.
            usage = self._usage(body, model)
            _require_short(content, self._settings.openai_max_output_tokens, model)
            return ModelAnswer(parsed=_parsed(body, read, model), usage=usage)
        except (APITimeoutError, TimeoutError) as error:
            raise ModelUnavailable(f"The model {model} did not answer in time.") from error
        except APIStatusError as error:
            raise ModelUnavailable(self._refusal(model, error.status_code)) from error
        except _Useless as error:
            raise ModelUnavailable(str(error), usage) from error
        except (ValidationError, ValueError, TypeError, AttributeError, LookupError) as error:
            raise ModelUnavailable(f"The model {model} answered in another form than agreed.", usage) from error
        except OpenAIError as error:
            raise ModelUnavailable(f"The model {model} cannot be reached: {error}") from error

    async def _in_responses(self, model: str, instructions: str, data: str, answer: type[Answer]) -> "_Told[Answer]":
        raw = await self._client.responses.with_raw_response.parse(
            model=model,
            instructions=instructions,
            input=data,
            text_format=answer,
            max_output_tokens=self._settings.openai_max_output_tokens,
            store=False,  # leads' data is not left with the provider
        )
        return raw.http_response.content, lambda: raw.parse().output_parsed

    async def _in_chat(self, model: str, instructions: str, data: str, answer: type[Answer]) -> "_Told[Answer]":
        raw = await self._client.chat.completions.with_raw_response.parse(
            model=model,
            messages=[{"role": "system", "content": instructions}, {"role": "user", "content": data}],
            response_format=answer,
            max_tokens=self._settings.openai_max_output_tokens,  # its new name is unknown to most servers but OpenAI's
        )
        return raw.http_response.content, lambda: raw.parse().choices[0].message.parsed

    def most_tokens(self, instructions: str, data: str) -> int:
        """Return about how many tokens a question and its answer may take at most."""
        return (len(instructions) + len(data)) // CHARACTERS_PER_TOKEN + self._settings.openai_max_output_tokens

    async def close(self) -> None:
        """Close the connections to the model server."""
        await self._client.close()

    def _refusal(self, model: str, status: int) -> str:
        sentence = f"The model {model} answered with HTTP status {status}"
        if status in {UNAUTHORISED, FORBIDDEN}:
            return f"{sentence}: check OPENAI_API_KEY."
        if status == NOT_FOUND and self._settings.openai_api == "responses":
            return f"{sentence}: check its name and OPENAI_BASE_URL; a server without /responses needs OPENAI_API=chat."
        return f"{sentence}."

    def _usage(self, body: Any, model: str) -> Usage:
        try:
            told = body["usage"]
            tokens_in = int(told["input_tokens"] if "input_tokens" in told else told["prompt_tokens"])
            tokens_out = int(told["output_tokens"] if "output_tokens" in told else told["completion_tokens"])
        except (ValueError, TypeError, KeyError, OverflowError):
            return Usage(model=model)
        if tokens_in not in PLAUSIBLE or tokens_out not in PLAUSIBLE:
            return Usage(model=model)
        price = self._settings.openai_prices.get(model)
        return Usage(model, tokens_in, tokens_out, _cost(price, tokens_in, tokens_out))


class _Useless(Exception):
    """An answer was given that says nothing of what was asked."""


def _require_short(content: bytes, most_tokens: int, model: str) -> None:
    """Raise _Useless for more than so many tokens can be: a server that heeds no limit would keep the readers busy."""
    if len(content) > MOST_AROUND + most_tokens * MOST_BYTES_PER_TOKEN:
        raise _Useless(f"The model {model} answered at greater length than it was allowed.")


def _parsed(body: Any, read: Callable[[], Answer | None], model: str) -> Answer:
    """Return the answer that is read; raises _Useless where either interface says that there is none."""
    if "choices" in body:
        ending = body["choices"][0].get("finish_reason")
    else:
        ending = (body.get("incomplete_details") or {}).get("reason") or body.get("status")
    if ending in {"length", "max_output_tokens", "incomplete"}:
        raise _Useless(f"The model {model} stopped in the middle of its answer.")
    if ending == "content_filter":
        raise _Useless(f"The model {model} declined to answer.")
    if ending in {"failed", "cancelled"}:
        raise _Useless(f"The model {model} failed at its answer.")
    parsed = read()
    if parsed is None:
        raise _Useless(f"The model {model} declined to answer.")
    return parsed


def _cost(price: Price | None, tokens_in: int, tokens_out: int) -> float | None:
    if price is None:
        return None
    return round((tokens_in * price.input + tokens_out * price.output) / 1_000_000, 8)
