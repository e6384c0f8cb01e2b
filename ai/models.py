"""Calls a language model for an answer in a given format, with limits of time, attempts and concurrency."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from ai.errors import ModelUnavailable
from ai.settings import AiSettings, Price
from ai.usage import Usage
from domain.bounded_json import parse_json

Answer = TypeVar("Answer", bound=BaseModel)
MAX_BYTES_PER_TOKEN, MAX_OVERHEAD_BYTES = 32, 65_536
"""Upper bounds of the bytes of a response: per token with escaped characters, and for everything else."""
PLAUSIBLE_TOKENS = range(100_000_000)
"""Plausible token counts; other counts of a server are treated as unknown."""
_RawAnswer: TypeAlias = tuple[bytes, Callable[[], Answer | None]]
"""The body of a response, and a function that reads the model's answer from it."""
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404

CHARACTERS_PER_TOKEN = 3
"""Fewer than usual, so that the tokens reserved for a call are rather too many."""


@dataclass(slots=True)
class Attempts:
    """The requests of one call of a model, retries included."""

    sent: int = 0
    refused: int = 0
    """Those that were answered with 4xx, which costs nothing."""
    counted: int = 0
    """Those whose tokens are known."""

    @property
    def unknown(self) -> int:
        """How many requests may have used tokens without a report: no answer, a broken one, or one without usage."""
        return max(self.sent - self.refused - self.counted, 0)


_attempts: ContextVar[Attempts] = ContextVar("attempts")


@dataclass(frozen=True)
class ModelAnswer(Generic[Answer]):
    """A model's answer in the requested format, and its usage."""

    parsed: Answer
    usage: Usage


def create_model_access(settings: AiSettings) -> "ModelAccess | None":
    """Return access to the configured models, or None without an API key."""
    return ModelAccess(settings) if settings.openai_api_key else None


class ModelAccess:
    """A client of an OpenAI-compatible server for all workflows of a process."""

    def __init__(self, settings: AiSettings) -> None:
        # Imported here, because it takes a second and a process without a key does not need it.
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient  # noqa: PLC0415

        assert settings.openai_api_key is not None
        self._settings = settings
        self._client = AsyncOpenAI(
            api_key=settings.openai_api_key.get_secret_value(),
            base_url=settings.openai_base_url,
            timeout=settings.openai_timeout_seconds,
            max_retries=settings.openai_max_retries,
            http_client=DefaultAsyncHttpxClient(
                event_hooks={"request": [_count_request], "response": [_count_response]}
            ),
        )
        self._semaphore = asyncio.Semaphore(settings.openai_concurrency)

    def model_for(self, workflow: str) -> str:
        """Return the name of the model of a workflow."""
        return self._settings.model_for(workflow)

    async def ask(
        self, workflow: str, *, instructions: str, data: str, answer: type[Answer], attempts: Attempts | None = None
    ) -> ModelAnswer[Answer]:
        """Return the model's answer to `instructions` on `data` in the format `answer`; may raise ModelUnavailable.

        The requests are counted in `attempts`, also if the call is cancelled.
        """
        from openai import APIStatusError, APITimeoutError, OpenAIError  # noqa: PLC0415

        model, usage = self.model_for(workflow), Usage()
        attempts = attempts or Attempts()
        _attempts.set(attempts)
        call = self._call_chat if self._settings.openai_api == "chat" else self._call_responses
        try:
            async with self._semaphore, asyncio.timeout(self._settings.openai_deadline_seconds):
                content, read = await call(model, instructions, data, answer)
            body = parse_json(content)
            # Before the answer is read, because an answer in a wrong format also costs tokens.
            usage = self._read_usage(body, model)
            attempts.counted += usage.tokens > 0
            _check_length(content, self._settings.openai_max_output_tokens, model)
            return ModelAnswer(parsed=_read_answer(body, read, model), usage=usage)
        except (APITimeoutError, TimeoutError) as error:
            raise ModelUnavailable(f"The model {model} did not answer in time.") from error
        except APIStatusError as error:
            raise ModelUnavailable(self._describe_status(model, error.status_code)) from error
        except _UnusableAnswer as error:
            raise ModelUnavailable(str(error), usage) from error
        except (ValidationError, ValueError, TypeError, AttributeError, LookupError) as error:
            raise ModelUnavailable(f"The model {model} answered in an unexpected format.", usage) from error
        except OpenAIError as error:
            raise ModelUnavailable(f"The model {model} cannot be reached: {error}") from error

    async def _call_responses(
        self, model: str, instructions: str, data: str, answer: type[Answer]
    ) -> "_RawAnswer[Answer]":
        raw = await self._client.responses.with_raw_response.parse(
            model=model,
            instructions=instructions,
            input=data,
            text_format=answer,
            max_output_tokens=self._settings.openai_max_output_tokens,
            store=False,  # the provider must not store data of leads
        )
        return raw.http_response.content, lambda: raw.parse().output_parsed

    async def _call_chat(self, model: str, instructions: str, data: str, answer: type[Answer]) -> "_RawAnswer[Answer]":
        raw = await self._client.chat.completions.with_raw_response.parse(
            model=model,
            messages=[{"role": "system", "content": instructions}, {"role": "user", "content": data}],
            response_format=answer,
            max_tokens=self._settings.openai_max_output_tokens,  # most compatible servers do not know the new name
        )
        return raw.http_response.content, lambda: raw.parse().choices[0].message.parsed

    @property
    def max_attempts(self) -> int:
        """How many requests one call may make."""
        return self._settings.openai_max_retries + 1

    def max_tokens(self, instructions: str, data: str) -> int:
        """Return about how many tokens one request may use at most."""
        return (len(instructions) + len(data)) // CHARACTERS_PER_TOKEN + self._settings.openai_max_output_tokens

    async def close(self) -> None:
        """Close the connections to the model server."""
        await self._client.close()

    def _describe_status(self, model: str, status: int) -> str:
        sentence = f"The model {model} returned HTTP status {status}"
        if status in {UNAUTHORIZED, FORBIDDEN}:
            return f"{sentence}. Check OPENAI_API_KEY."
        if status == NOT_FOUND and self._settings.openai_api == "responses":
            return f"{sentence}. Check its name and OPENAI_BASE_URL; a server without /responses needs OPENAI_API=chat."
        return f"{sentence}."

    def _read_usage(self, body: Any, model: str) -> Usage:
        try:
            counts = body["usage"]
            tokens_in = int(counts["input_tokens"] if "input_tokens" in counts else counts["prompt_tokens"])
            tokens_out = int(counts["output_tokens"] if "output_tokens" in counts else counts["completion_tokens"])
        except (ValueError, TypeError, KeyError, OverflowError):
            return Usage(model=model)
        if tokens_in not in PLAUSIBLE_TOKENS or tokens_out not in PLAUSIBLE_TOKENS:
            return Usage(model=model)
        price = self._settings.openai_prices.get(model)
        return Usage(model, tokens_in, tokens_out, _cost(price, tokens_in, tokens_out))


async def _count_request(request: Any) -> None:
    """Count a request as soon as its first byte is written; without a connection nothing is used."""
    attempts = _attempts.get()

    async def trace(event: str, _info: dict[str, Any]) -> None:
        attempts.sent += event.endswith("send_request_headers.started")

    request.extensions["trace"] = trace


async def _count_response(response: Any) -> None:
    _attempts.get().refused += response.is_client_error


class _UnusableAnswer(Exception):
    """The server responded without a usable answer."""


def _check_length(content: bytes, max_tokens: int, model: str) -> None:
    """Raise _UnusableAnswer for a response that is too long, because a server may ignore the token limit."""
    if len(content) > MAX_OVERHEAD_BYTES + max_tokens * MAX_BYTES_PER_TOKEN:
        raise _UnusableAnswer(f"The model {model} gave an answer that is longer than allowed.")


def _read_answer(body: Any, read: Callable[[], Answer | None], model: str) -> Answer:
    """Return the answer; raises _UnusableAnswer when the response of either API says that there is none."""
    if "choices" in body:
        finish_reason = body["choices"][0].get("finish_reason")
    else:
        finish_reason = (body.get("incomplete_details") or {}).get("reason") or body.get("status")
    if finish_reason in {"length", "max_output_tokens", "incomplete"}:
        raise _UnusableAnswer(f"The answer of the model {model} was cut off.")
    if finish_reason == "content_filter":
        raise _UnusableAnswer(f"The model {model} declined to answer.")
    if finish_reason in {"failed", "cancelled"}:
        raise _UnusableAnswer(f"The model {model} failed to answer.")
    parsed = read()
    if parsed is None:
        raise _UnusableAnswer(f"The model {model} declined to answer.")
    return parsed


def _cost(price: Price | None, tokens_in: int, tokens_out: int) -> float | None:
    if price is None:
        return None
    return round((tokens_in * price.input + tokens_out * price.output) / 1_000_000, 8)
