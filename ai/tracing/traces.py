"""Interfaces for tracing runs; these base classes record nothing, and subclasses override them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from ai.models import ModelAnswer
from ai.prompts import Prompt
from ai.usage import Usage


class Generation:
    """A model call of a run; this base class records nothing."""

    def record_answer(self, answer: ModelAnswer[Any]) -> None:
        """Record the answer with its tokens and cost."""

    def record_failure(self, reason: str, usage: Usage) -> None:
        """Record why there is no usable answer, and the usage."""


class RunTrace:
    """The trace of a run, with its id and page; this base class records nothing and has neither."""

    id: str | None = None
    url: str | None = None

    @contextmanager
    def generation(self, *, model: str, prompt: Prompt, data: str) -> Iterator[Generation]:
        """Enclose one model call."""
        del model, prompt, data
        yield Generation()

    def record_output(self, output: BaseModel) -> None:
        """Record the output of the run."""


class Tracing:
    """Creates traces of runs; this base class creates none."""

    @contextmanager
    def run_trace(
        self, workflow: str, *, workspace_id: str, actor: str | None, tags: Sequence[str], material: BaseModel
    ) -> Iterator[RunTrace]:
        """Enclose a run of a workflow."""
        del workflow, workspace_id, actor, tags, material
        yield NO_TRACE

    def score(self, trace_id: str, name: str, value: float | bool, *, key: str, comment: str | None = None) -> None:
        """Add a score to a trace: a share from 0 to 1, or a boolean; a later score with the same key replaces it.

        It returns at once; scores that cannot be delivered are logged and lost.
        """
        del trace_id, name, value, key, comment

    def close(self) -> None:
        """Send queued data; waits at most LANGFUSE_TIMEOUT_SECONDS, and the rest is lost."""


NO_TRACE = RunTrace()
NO_TRACING = Tracing()
