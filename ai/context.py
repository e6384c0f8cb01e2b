"""What a run is given from outside: for whom it runs, the models it may ask, and where it leaves its trace."""

from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

from ai.errors import ModelUnavailable
from ai.models import ModelAccess, ModelAnswer
from ai.prompts import Prompt
from ai.tracing import NO_TRACING, RunTrace, Tracing

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RunContext:
    """For whom and with what a workflow runs. `actor` is a user's id, None when the engine acts by itself."""

    workspace_id: UUID | str
    actor: str | None = None
    tags: tuple[str, ...] = ()
    models: ModelAccess | None = None
    tracing: Tracing = NO_TRACING


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What the nodes of one run may use."""

    workflow: str
    models: ModelAccess | None
    trace: RunTrace

    async def ask(self, prompt: Prompt, data: str, answer: type[Answer]) -> ModelAnswer[Answer]:
        """Ask the workflow's model, as one generation of the run's trace; ModelUnavailable if there is no answer."""
        if self.models is None:
            raise ModelUnavailable("No model is configured.")
        model = self.models.model_for(self.workflow)
        with self.trace.generation(model=model, prompt=prompt, data=data) as generation:
            answered = await self.models.ask(self.workflow, instructions=prompt.text, data=data, answer=answer)
            generation.answered(answered)
        return answered
