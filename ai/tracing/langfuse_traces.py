"""Leaves one trace per run in Langfuse where it is configured.

Nothing here may fail or delay the work it watches: every call into Langfuse is guarded; spans and scores wait in queues
of bounded length, the oldest spans giving way, and leave in the background. Inputs and outputs are handed over as the
JSON that Langfuse would make of them: its own serializer looks for files in them first, and takes many times as long.
"""

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any

from pydantic import BaseModel

from ai.errors import TracingMisconfigured
from ai.models import ModelAnswer
from ai.prompts import Prompt
from ai.settings import AiSettings
from ai.tracing.traces import NO_TRACE, NO_TRACING, Generation, RunTrace, Tracing
from ai.usage import Usage

logger = logging.getLogger(__name__)


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
    """Traces in Langfuse: session is the workspace, user the actor, every question to a model a generation.

    A process has one for each public key: Langfuse's client is shared by all of the same key, and closed once.
    """

    def __init__(self, settings: AiSettings) -> None:
        # Imported here: it takes a second and must not load where no keys are set.
        from langfuse import Langfuse, propagate_attributes  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

        assert settings.langfuse_secret_key is not None
        self._propagate = propagate_attributes
        self._base_url = settings.langfuse_base_url.rstrip("/")
        self._project_id = settings.langfuse_project_id
        self._timeout = settings.langfuse_timeout_seconds
        # The process's own provider would hand our spans to others, theirs to Langfuse, and at exit wait without limit.
        self._provider = TracerProvider(shutdown_on_exit=False)
        self._client = Langfuse(
            public_key=settings.langfuse_public_key,
            secret_key=settings.langfuse_secret_key.get_secret_value(),
            base_url=self._base_url,
            environment=settings.langfuse_environment,
            timeout=self._timeout,
            tracer_provider=self._provider,
        )

    @contextmanager
    def run_trace(
        self, workflow: str, *, workspace_id: str, actor: str | None, tags: Sequence[str], material: BaseModel
    ) -> Iterator[RunTrace]:
        """Enclose one run; session and user surround the root span, else Langfuse loses them."""
        stack, trace = _Guarded(), NO_TRACE
        try:
            stack.enter(
                self._propagate(session_id=workspace_id, user_id=actor, tags=[*tags, workflow], trace_name=workflow)
            )
            span = stack.enter(
                self._client.start_as_current_observation(
                    as_type="chain", name=workflow, input=material.model_dump_json()
                )
            )
            trace = _LangfuseTrace(self._client, span, self._url_of(span.trace_id))
        except Exception as error:  # noqa: BLE001 - whatever tracing raises, the work goes on
            logger.warning("A trace could not be started: %s", error)
        with _leaving(stack):
            yield trace

    def score(self, trace_id: str, name: str, value: float | bool, *, key: str, comment: str | None = None) -> None:
        """Put a judgement on the queue; Langfuse keeps one score for each id, so the key is the id."""
        try:
            self._client.create_score(
                name=name,
                value=float(value),
                data_type="BOOLEAN" if isinstance(value, bool) else "NUMERIC",
                trace_id=trace_id,
                score_id=key,
                comment=comment,
            )
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("A trace could not be judged: %s", error)

    def _url_of(self, trace_id: str) -> str:
        """Return the trace's page; without LANGFUSE_PROJECT_ID the one from which Langfuse finds the project itself."""
        project = f"/project/{self._project_id}/traces" if self._project_id else "/trace"
        return f"{self._base_url}{project}/{trace_id}"

    def close(self) -> None:
        """Send what is still waiting and stop the background threads.

        Langfuse's own flush tries every batch for the whole time-out, one after the other; hence the thread.
        """
        closing = threading.Thread(target=self._shut_down, name="langfuse-close", daemon=True)
        closing.start()
        closing.join(self._timeout)
        if closing.is_alive():
            logger.warning("Langfuse has not taken all traces within %d s; the rest is lost.", self._timeout)

    def _shut_down(self) -> None:
        try:
            self._client.shutdown()
            self._provider.shutdown()
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
    def __init__(self, client: Any, span: Any, url: str) -> None:
        self._client = client
        self._span = span
        self.id, self.url = span.trace_id, url

    @contextmanager
    def generation(self, *, model: str, prompt: Prompt, data: str) -> Iterator[Generation]:
        stack, generation = _Guarded(), Generation()
        question = [{"role": "system", "content": prompt.text}, {"role": "user", "content": data}]
        try:
            observation = stack.enter(
                self._client.start_as_current_observation(
                    as_type="generation",
                    name=prompt.name,
                    model=model,
                    input=json.dumps(question, ensure_ascii=False),
                    prompt=_link_to(prompt),
                    version=str(prompt.version),  # seen where the prompt was not pushed
                )
            )
            generation = _LangfuseGeneration(observation)
        except Exception as error:  # noqa: BLE001 - whatever tracing raises, the work goes on
            logger.warning("A generation could not be traced: %s", error)
        with _leaving(stack):
            yield generation

    def finished(self, output: BaseModel) -> None:
        try:
            self._span.update(output=output.model_dump_json())
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("A trace could not be completed: %s", error)


class _LangfuseGeneration(Generation):
    def __init__(self, observation: Any) -> None:
        self._observation = observation

    def answered(self, answer: ModelAnswer[Any]) -> None:
        self._update(answer.usage, output=answer.parsed.model_dump_json())

    def failed(self, reason: str, usage: Usage) -> None:
        self._update(usage, level="ERROR", status_message=reason)

    def _update(self, usage: Usage, **seen: Any) -> None:
        try:
            self._observation.update(
                usage_details={"input": usage.tokens_in, "output": usage.tokens_out} if usage.tokens else None,
                cost_details=None if usage.cost is None else {"total": usage.cost},
                **seen,
            )
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("A model's answer could not be traced: %s", error)


@cache
def _link_to(prompt: Prompt) -> Any:
    """Return the prompt as Langfuse's client knows those it fetched: by name and number, nothing is asked."""
    from langfuse.api import Prompt_Text  # noqa: PLC0415
    from langfuse.model import TextPromptClient  # noqa: PLC0415

    known = Prompt_Text(name=prompt.name, version=prompt.version, prompt=prompt.text, config={}, labels=[], tags=[])
    return TextPromptClient(known)
