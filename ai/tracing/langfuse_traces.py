"""Sends one trace per run to Langfuse, if configured.

Tracing must not fail or delay a run: every call to Langfuse is guarded, and spans and scores are sent in the background
from bounded queues, which drop the oldest spans. Inputs and outputs are passed as JSON, because Langfuse's own
serializer, which also searches for files, takes many times as long.
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


def create_tracing(settings: AiSettings) -> Tracing:
    """Return tracing to Langfuse when both keys are set, otherwise tracing that does nothing.

    Raises TracingMisconfigured when only one of the keys is set.
    """
    if bool(settings.langfuse_public_key) != bool(settings.langfuse_secret_key):
        raise TracingMisconfigured("Set both LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY, or neither.")
    return LangfuseTracing(settings) if settings.langfuse_public_key else NO_TRACING


class _GuardedStack(ExitStack):
    """Enters and exits Langfuse's context managers, and logs their failures instead of raising them."""

    def enter(self, manager: AbstractContextManager[Any]) -> Any:
        """Enter a context manager and return its value."""
        return self.enter_context(manager)

    def exit_all(self, error: BaseException | None) -> None:
        """Exit all entered context managers."""
        try:
            self.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        except BaseException as raised:
            if raised is error:
                return
            if not isinstance(raised, Exception):
                raise
            logger.warning("A trace could not be closed: %s", raised)


class LangfuseTracing(Tracing):
    """Traces in Langfuse: the session is the workspace, the user is the actor, and each model call is a generation.

    A process has one instance per public key: Langfuse shares its client between all instances of a key.
    """

    def __init__(self, settings: AiSettings) -> None:
        # Imported here, because it takes a second and is not needed without keys.
        from langfuse import Langfuse, propagate_attributes  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

        assert settings.langfuse_secret_key is not None
        self._propagate = propagate_attributes
        self._base_url = settings.langfuse_base_url.rstrip("/")
        self._project_id = settings.langfuse_project_id
        self._timeout = settings.langfuse_timeout_seconds
        # The global provider would mix our spans with those of other libraries, and wait without limit at exit.
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
        """Enclose a run; session and user must enclose the root span, otherwise Langfuse loses them."""
        stack, trace = _GuardedStack(), NO_TRACE
        try:
            stack.enter(
                self._propagate(session_id=workspace_id, user_id=actor, tags=[*tags, workflow], trace_name=workflow)
            )
            span = stack.enter(
                self._client.start_as_current_observation(
                    as_type="chain", name=workflow, input=material.model_dump_json()
                )
            )
            trace = _LangfuseTrace(self._client, span, self._build_url(span.trace_id))
        except Exception as error:  # noqa: BLE001 - an error of tracing must not stop the run
            logger.warning("A trace could not be started: %s", error)
        with _close_on_exit(stack):
            yield trace

    def score(self, trace_id: str, name: str, value: float | bool, *, key: str, comment: str | None = None) -> None:
        """Queue a score; Langfuse stores one score per id, so the key is the id."""
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
            logger.warning("A score could not be recorded: %s", error)

    def _build_url(self, trace_id: str) -> str:
        """Return the page of a trace; without LANGFUSE_PROJECT_ID, a page on which Langfuse finds the project."""
        project = f"/project/{self._project_id}/traces" if self._project_id else "/trace"
        return f"{self._base_url}{project}/{trace_id}"

    def close(self) -> None:
        """Send queued data and stop the background threads.

        Langfuse's flush applies the timeout to each batch, one after the other, so it runs in a thread with a time
        limit.
        """
        closing = threading.Thread(target=self._shut_down, name="langfuse-close", daemon=True)
        closing.start()
        closing.join(self._timeout)
        if closing.is_alive():
            logger.warning("Langfuse did not receive all traces within %d s; the rest is lost.", self._timeout)

    def _shut_down(self) -> None:
        try:
            self._client.shutdown()
            self._provider.shutdown()
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("Langfuse could not be closed: %s", error)


@contextmanager
def _close_on_exit(stack: _GuardedStack) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        stack.exit_all(error)
        raise
    stack.exit_all(None)


class _LangfuseTrace(RunTrace):
    def __init__(self, client: Any, span: Any, url: str) -> None:
        self._client = client
        self._span = span
        self.id, self.url = span.trace_id, url

    @contextmanager
    def generation(self, *, model: str, prompt: Prompt, data: str) -> Iterator[Generation]:
        stack, generation = _GuardedStack(), Generation()
        messages = [{"role": "system", "content": prompt.text}, {"role": "user", "content": data}]
        try:
            observation = stack.enter(
                self._client.start_as_current_observation(
                    as_type="generation",
                    name=prompt.name,
                    model=model,
                    input=json.dumps(messages, ensure_ascii=False),
                    prompt=_to_prompt_client(prompt),
                    version=str(prompt.version),  # shown when the prompt was not pushed
                )
            )
            generation = _LangfuseGeneration(observation)
        except Exception as error:  # noqa: BLE001 - an error of tracing must not stop the run
            logger.warning("A generation could not be traced: %s", error)
        with _close_on_exit(stack):
            yield generation

    def record_output(self, output: BaseModel) -> None:
        try:
            self._span.update(output=output.model_dump_json())
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("The output of a trace could not be recorded: %s", error)


class _LangfuseGeneration(Generation):
    def __init__(self, observation: Any) -> None:
        self._observation = observation

    def record_answer(self, answer: ModelAnswer[Any]) -> None:
        self._update(answer.usage, output=answer.parsed.model_dump_json())

    def record_failure(self, reason: str, usage: Usage) -> None:
        self._update(usage, level="ERROR", status_message=reason)

    def _update(self, usage: Usage, **fields: Any) -> None:
        try:
            self._observation.update(
                usage_details={"input": usage.tokens_in, "output": usage.tokens_out} if usage.tokens else None,
                cost_details=None if usage.cost is None else {"total": usage.cost},
                **fields,
            )
        except Exception as error:  # noqa: BLE001 - as above
            logger.warning("A model's answer could not be recorded: %s", error)


@cache
def _to_prompt_client(prompt: Prompt) -> Any:
    """Return the prompt in the format of Langfuse's client, by name and version, without a request."""
    from langfuse.api import Prompt_Text  # noqa: PLC0415
    from langfuse.model import TextPromptClient  # noqa: PLC0415

    text_prompt = Prompt_Text(
        name=prompt.name, version=prompt.version, prompt=prompt.text, config={}, labels=[], tags=[]
    )
    return TextPromptClient(text_prompt)
