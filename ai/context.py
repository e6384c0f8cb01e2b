"""What a run is given from outside: for whom it runs, the models it may ask and at what price, where it is traced."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel

from ai.errors import ModelUnavailable
from ai.models import ModelAccess, ModelAnswer
from ai.prompts import Prompt
from ai.tracing import NO_TRACING, RunTrace, Tracing
from ai.usage import Generation, Usage

Answer = TypeVar("Answer", bound=BaseModel)

NO_MODEL = "No model is configured."


@dataclass(slots=True)
class Reading:
    """What one question took, once it is known; `is_answered` when the answer was in the agreed form."""

    usage: Usage = field(default_factory=Usage)
    is_answered: bool = False


class Meter(Protocol):
    """Counts what models take and knows how much they may."""

    def metered(self, workflow: str, model: str, tokens: int) -> AbstractAsyncContextManager[Reading]:
        """Enclose one question that takes at most about `tokens`; raises OverBudget when there are not so many left."""


class Unmetered:
    """Counts nothing and allows everything: for evals and tests."""

    @asynccontextmanager
    async def metered(self, workflow: str, model: str, tokens: int) -> AsyncIterator[Reading]:
        """Enclose one question."""
        del workflow, model, tokens
        yield Reading()


UNMETERED = Unmetered()


@dataclass(frozen=True, slots=True)
class RunContext:
    """For whom and with what a workflow runs. `actor` is a user's id, None when the engine acts by itself."""

    workspace_id: UUID | str
    actor: str | None = None
    tags: tuple[str, ...] = ()
    models: ModelAccess | None = None
    tracing: Tracing = NO_TRACING
    meter: Meter = UNMETERED


@dataclass(slots=True)
class NodeContext:
    """What the nodes of one run may use, and what their questions have taken so far."""

    workflow: str
    models: ModelAccess | None
    trace: RunTrace
    meter: Meter = UNMETERED
    usage: Usage = field(default_factory=Usage)

    async def ask(self, prompt: Prompt, data: str, answer: type[Answer]) -> ModelAnswer[Answer]:
        """Ask the workflow's model, as one generation of the run's trace; ModelUnavailable if there is no answer."""
        if self.models is None:
            raise ModelUnavailable(NO_MODEL)
        model = self.models.model_for(self.workflow)
        most = self.models.most_tokens(prompt.text, data)
        async with self.meter.metered(self.workflow, model, most) as reading:
            with self.trace.generation(model=model, prompt=prompt, data=data) as generation:
                try:
                    answered = await self.models.ask(self.workflow, instructions=prompt.text, data=data, answer=answer)
                except ModelUnavailable as unavailable:
                    reading.usage = unavailable.usage
                    self.usage += unavailable.usage
                    generation.failed(str(unavailable), unavailable.usage)
                    raise
                reading.usage, reading.is_answered = answered.usage, True
                self.usage += answered.usage
                generation.answered(answered)
        return answered

    def generation(self, prompt: Prompt | None, fallback_reason: str | None) -> Generation:
        """Return how the run's output came about: by the answer to `prompt`, or without a model where it is None."""
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
