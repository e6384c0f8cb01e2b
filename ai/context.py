"""The context of a workflow run: workspace, user, models, token budget and tracing."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel

from ai.errors import ModelUnavailable
from ai.models import Attempts, ModelAccess, ModelAnswer
from ai.prompts import Prompt
from ai.tracing import NO_TRACING, RunTrace, Tracing
from ai.usage import Generation, Usage

Answer = TypeVar("Answer", bound=BaseModel)

NO_MODEL = "No model is configured."


@dataclass(slots=True)
class UsageRecord:
    """The usage of one model call, set when it is known; `is_answered` if the answer had the requested format."""

    usage: Usage = field(default_factory=Usage)
    attempts: Attempts = field(default_factory=Attempts)
    is_answered: bool = False


class Meter(Protocol):
    """Counts the tokens of model calls and enforces the budget."""

    def meter_call(
        self, workflow: str, model: str, tokens: int, max_attempts: int = 1
    ) -> AbstractAsyncContextManager[UsageRecord]:
        """Enclose one model call of at most so many requests with about `tokens` tokens each.

        Raises TokenBudgetExceeded above the budget.
        """


class NoMeter:
    """Counts nothing and has no budget, for evals and tests."""

    @asynccontextmanager
    async def meter_call(
        self, workflow: str, model: str, tokens: int, max_attempts: int = 1
    ) -> AsyncIterator[UsageRecord]:
        """Enclose one model call."""
        del workflow, model, tokens, max_attempts
        yield UsageRecord()


NO_METER = NoMeter()


@dataclass(frozen=True, slots=True)
class RunContext:
    """The context in which a workflow runs. `actor` is a user's id, or None when a job runs it."""

    workspace_id: UUID | str
    actor: str | None = None
    tags: tuple[str, ...] = ()
    models: ModelAccess | None = None
    tracing: Tracing = NO_TRACING
    meter: Meter = NO_METER


@dataclass(slots=True)
class NodeContext:
    """What the nodes of a run may use, and the usage of their model calls so far."""

    workflow: str
    models: ModelAccess | None
    trace: RunTrace
    meter: Meter = NO_METER
    usage: Usage = field(default_factory=Usage)

    async def ask(self, prompt: Prompt, data: str, answer: type[Answer]) -> ModelAnswer[Answer]:
        """Call the workflow's model, as a generation of the run's trace; raises ModelUnavailable without an answer."""
        if self.models is None:
            raise ModelUnavailable(NO_MODEL)
        model = self.models.model_for(self.workflow)
        max_tokens = self.models.max_tokens(prompt.text, data)
        max_attempts = self.models.max_attempts
        async with self.meter.meter_call(self.workflow, model, max_tokens, max_attempts) as record:
            with self.trace.generation(model=model, prompt=prompt, data=data) as generation:
                try:
                    result = await self.models.ask(
                        self.workflow, instructions=prompt.text, data=data, answer=answer, attempts=record.attempts
                    )
                except ModelUnavailable as unavailable:
                    record.usage = unavailable.usage
                    self.usage += unavailable.usage
                    generation.record_failure(str(unavailable), unavailable.usage)
                    raise
                record.usage, record.is_answered = result.usage, True
                self.usage += result.usage
                generation.record_answer(result)
        return result

    def generation(self, prompt: Prompt | None, fallback_reason: str | None) -> Generation:
        """Return how the run's output was generated: by the answer to `prompt`, or without a model if it is None."""
        return Generation(
            model=self.usage.model if prompt else None,
            prompt_name=prompt.name if prompt else None,
            prompt_version=prompt.version if prompt else None,
            trace_id=self.trace.id,
            trace_url=self.trace.url,
            tokens_in=self.usage.tokens_in,
            tokens_out=self.usage.tokens_out,
            cost=self.usage.cost,
            fallback_reason=fallback_reason,
        )
