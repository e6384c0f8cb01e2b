"""What can be told of a run while it goes on; here nobody listens, and whoever does overrides it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from ai.models import ModelAnswer
from ai.prompts import Prompt
from ai.usage import Usage


class Generation:
    """One question to a model within a run; this one is not recorded anywhere."""

    def answered(self, answer: ModelAnswer[Any]) -> None:
        """Record the answer with its tokens and cost."""

    def failed(self, reason: str, usage: Usage) -> None:
        """Record why there is no usable answer, and what that took."""


class RunTrace:
    """The trace of one run, and where people see it; this one is not recorded anywhere, so it has neither."""

    id: str | None = None
    url: str | None = None

    @contextmanager
    def generation(self, *, model: str, prompt: Prompt, data: str) -> Iterator[Generation]:
        """Enclose one question to a model."""
        del model, prompt, data
        yield Generation()

    def finished(self, output: BaseModel) -> None:
        """Record what the run came to."""


class Tracing:
    """Where runs leave their traces; this one leaves none."""

    @contextmanager
    def run_trace(
        self, workflow: str, *, workspace_id: str, actor: str | None, tags: Sequence[str], material: BaseModel
    ) -> Iterator[RunTrace]:
        """Enclose one run of a workflow."""
        del workflow, workspace_id, actor, tags, material
        yield NO_TRACE

    def score(self, trace_id: str, name: str, value: float | bool, *, key: str, comment: str | None = None) -> None:
        """Judge a run that was traced, by a share from 0 to 1 or by yes and no; a later word under one key replaces it.

        Returns at once; what cannot be delivered is logged and lost.
        """
        del trace_id, name, value, key, comment

    def close(self) -> None:
        """Send what is still waiting; waits at most LANGFUSE_TIMEOUT_SECONDS, what is left then is lost."""


NO_TRACE = RunTrace()
NO_TRACING = Tracing()
