"""Leaves one trace per run in Langfuse where it is configured; the only file that knows Langfuse.

Nothing here may fail or delay the work it watches: every call into Langfuse is guarded; spans leave in the background.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from pydantic import BaseModel

from ai.errors import TracingMisconfigured
from ai.models import ModelAnswer
from ai.prompts import Prompt
from ai.settings import AiSettings

logger = logging.getLogger(__name__)


class Generation:
    """One question to a model within a run; this one is not recorded anywhere."""

    def answered(self, answer: ModelAnswer[Any]) -> None:
        """Record the answer with its tokens and cost."""


class RunTrace:
    """The trace of one run; this one is not recorded anywhere, so it has no id."""

    id: str | None = None

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
        yield _NO_TRACE

    def close(self) -> None:
        """Send what is still waiting; may take some seconds when Langfuse cannot be reached."""


_NO_TRACE = RunTrace()
NO_TRACING = Tracing()


def tracing(settings: AiSettings) -> Tracing:
    """Return tracing to Langfuse when both its keys are set, else one that does nothing.

    Raises TracingMisconfigured when only one of the two keys is set.
    """
    if bool(settings.langfuse_public_key) != bool(settings.langfuse_secret_key):
        raise TracingMisconfigured("Set both LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY, or neither.")
    return LangfuseTracing(settings) if settings.langfuse_public_key else NO_TRACING


class _Guarded(ExitStack):
    """Enters and leaves Langfuse's context managers; its failures are logged and go no further."""

    def enter(self, manager: AbstractContextManager[Any]) -> Any:
        """Enter a context manager and return what it gives."""
        return self.enter_context(manager)

    def leave(self, error: BaseException | None) -> None:
        """Leave all that was entered."""
        try:
            self.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        except BaseException as raised:
            if raised is error:
                return
            if not isinstance(raised, Exception):
                raise
            logger.warning("A trace could not be finished: %s", raised)


class LangfuseTracing(Tracing):
    """Traces in Langfuse: session is the workspace, user the actor, every question to a model a generation."""

    def __init__(self, settings: AiSettings) -> None:
        # Imported here: it takes a second and must not load where no keys are set.
        from langfuse import Langfuse, propagate_attributes  # noqa: PLC0415

        assert settings.langfuse_secret_key is not None
        self._propagate = propagate_attributes
        self._client = Langfuse(
            public_key=settings.langfuse_public_key,
            secret_key=settings.langfuse_secret_key.get_secret_value(),
            base_url=settings.langfuse_base_url,
            environment=settings.langfuse_environment,
            timeout=settings.langfuse_timeout_seconds,
        )

    @contextmanager
    def run_trace(
        self, workflow: str, *, workspace_id: str, actor: str | None, tags: Sequence[str], material: BaseModel
    ) -> Iterator[RunTrace]:
        """Enclose one run; session and user surround the root span, else Langfuse loses them."""
        stack, trace = _Guarded(), _NO_TRACE
        try:
            stack.enter(
                self._propagate(session_id=workspace_id, user_id=actor, tags=[*tags, workflow], trace_name=workflow)
            )
            span = stack.enter(
                self._client.start_as_current_observation(
                    as_type="chain", name=workflow, input=material.model_dump(mode="json")
                )
            )
            trace = _LangfuseTrace(self._client, span)
        except Exception as error:  # noqa: BLE001 - whatever tracing raises, the work goes on
            logger.warning("A trace could not be started: %s", error)
        with _leaving(stack):
            yield trace

    def close(self) -> None:
        """Send what is still waiting and stop the background threads."""
        try:
            self._client.shutdown()
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("Langfuse could not be closed: %s", error)


@contextmanager
def _leaving(stack: _Guarded) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        stack.leave(error)
        raise
    stack.leave(None)


class _LangfuseTrace(RunTrace):
    def __init__(self, client: Any, span: Any) -> None:
        self._client = client
        self._span = span
        self.id = span.trace_id

    @contextmanager
    def generation(self, *, model: str, prompt: Prompt, data: str) -> Iterator[Generation]:
        stack, generation = _Guarded(), Generation()
        try:
            observation = stack.enter(
                self._client.start_as_current_observation(
                    as_type="generation",
                    name=prompt.name,
                    model=model,
                    input=[{"role": "system", "content": prompt.text}, {"role": "user", "content": data}],
                    version=prompt.version,
                    metadata={"prompt_name": prompt.name, "prompt_version": prompt.version},
                )
            )
            generation = _LangfuseGeneration(observation)
        except Exception as error:  # noqa: BLE001 - whatever tracing raises, the work goes on
            logger.warning("A generation could not be traced: %s", error)
        with _leaving(stack):
            yield generation

    def finished(self, output: BaseModel) -> None:
        try:
            self._span.update(output=output.model_dump(mode="json"))
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("A trace could not be completed: %s", error)


class _LangfuseGeneration(Generation):
    def __init__(self, observation: Any) -> None:
        self._observation = observation

    def answered(self, answer: ModelAnswer[Any]) -> None:
        usage = answer.usage
        try:
            self._observation.update(
                output=answer.parsed.model_dump(mode="json"),
                usage_details={"input": usage.tokens_in, "output": usage.tokens_out},
                cost_details=None if usage.cost is None else {"total": usage.cost},
            )
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("A model's answer could not be traced: %s", error)
