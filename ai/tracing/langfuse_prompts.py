"""Publishes the repository's prompts in Langfuse, so that traces lead to the text that was used.

A version has the same number in both. The repository's is authoritative: it is raised with each change of a text.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from ai.errors import PromptsNotPushed
from ai.prompts import Prompt
from ai.settings import AiSettings

if TYPE_CHECKING:
    from langfuse.api import LangfuseAPI, Prompt_Chat, Prompt_Text

LABEL = "production"
"""What Langfuse hands out when no version is asked for; `latest` it keeps by itself."""
UNAUTHORISED, FORBIDDEN, TOO_MANY, BROKEN = 401, 403, 429, 500
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Pushed:
    """A prompt that is in Langfuse now, under its own number and our label."""

    prompt: Prompt
    outcome: Literal["created", "labelled", "unchanged"]


def push(settings: AiSettings, prompts: Sequence[Prompt]) -> Iterator[Pushed]:
    """Publish prompts, and yield each as soon as it is there; one that is there already is left as it is.

    All are looked at before the first is published. Raises PromptsNotPushed.
    """
    if not settings.langfuse_public_key or not settings.langfuse_secret_key:
        raise PromptsNotPushed("Set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY: prompts are pushed to their project.")
    from langfuse.api import LangfuseAPI  # noqa: PLC0415 - it takes a second, as above

    with httpx.Client(timeout=settings.langfuse_timeout_seconds) as http:
        shelf = _Shelf(
            LangfuseAPI(
                base_url=settings.langfuse_base_url.rstrip("/"),
                username=settings.langfuse_public_key,
                password=settings.langfuse_secret_key.get_secret_value(),
                httpx_client=http,
            ),
            settings.langfuse_base_url,
        )
        latest = {prompt: shelf.latest(prompt.name) for prompt in prompts}
        for prompt, there in latest.items():
            _require_room(prompt, there)
        for prompt, there in latest.items():
            yield Pushed(prompt, _publish(shelf, prompt, there))


def _require_room(prompt: Prompt, there: "Prompt_Text | Prompt_Chat | None") -> None:
    """Raise PromptsNotPushed where the number of a prompt is taken by another text, or behind."""
    if there is None or there.version < prompt.version:
        return
    if there.version > prompt.version:
        raise PromptsNotPushed(
            f"Langfuse has version {there.version} of {prompt.name}, the file has version {prompt.version}: take over "
            f"what was changed there, and set the file's version to {there.version + 1}. Nothing was pushed."
        )
    if there.prompt != prompt.text:
        raise PromptsNotPushed(
            f"Version {prompt.version} of {prompt.name} has another text in Langfuse: a change of the text needs a new "
            f"number, so set the file's version to {prompt.version + 1}. Nothing was pushed."
        )


def _publish(
    shelf: "_Shelf", prompt: Prompt, there: "Prompt_Text | Prompt_Chat | None"
) -> Literal["created", "labelled", "unchanged"]:
    last = 0 if there is None else there.version
    if there is not None and last == prompt.version:
        if LABEL in there.labels:
            return "unchanged"
        shelf.label(prompt)
        return "labelled"
    # Langfuse counts by itself: numbers that the project has never seen are filled up.
    for number in range(last + 1, prompt.version + 1):
        shelf.create(prompt, number)
    return "created"


class _Shelf:
    """The prompts in Langfuse; whatever goes wrong is a PromptsNotPushed that says what to do."""

    def __init__(self, api: "LangfuseAPI", url: str) -> None:
        self._api = api
        self._url = url

    def latest(self, name: str) -> "Prompt_Text | Prompt_Chat | None":
        """Return the newest version of a prompt, None where there is none."""
        from langfuse.api import NotFoundError  # noqa: PLC0415

        def read() -> "Prompt_Text | Prompt_Chat | None":
            try:
                found: Prompt_Text | Prompt_Chat = self._api.prompts.get(quote(name, safe=""), label="latest")
            except NotFoundError:
                return None
            return found

        return self._ask(read)

    def create(self, prompt: Prompt, number: int) -> None:
        """Add a version that is to have this number; only the prompt's own one gets the label."""
        from langfuse.api import CreateTextPromptRequest  # noqa: PLC0415

        is_last = number == prompt.version
        message = f"Version {number}, as numbered in the repository."
        if not is_last:
            message = f"Fills up the numbers to the repository's version {prompt.version}."
        request = CreateTextPromptRequest(
            name=prompt.name, prompt=prompt.text, labels=[LABEL] if is_last else [], commit_message=message
        )
        # One that arrived though no answer came would be there twice after another attempt.
        made = self._ask(lambda: self._api.prompts.create(request=request, request_options={"max_retries": 0}))
        if made.version != number:
            raise PromptsNotPushed(
                f"Version {number} of {prompt.name} was given the number {made.version} by Langfuse: somebody else "
                "pushed at the same time. Push again."
            )

    def label(self, prompt: Prompt) -> None:
        """Let the version that is there be the one that is handed out."""
        self._ask(
            lambda: self._api.prompt_version.update(quote(prompt.name, safe=""), prompt.version, new_labels=[LABEL])
        )

    def _ask(self, call: Callable[[], Found]) -> Found:
        from langfuse.api.core import ApiError  # noqa: PLC0415

        try:
            return call()
        except ApiError as error:
            raise PromptsNotPushed(self._sentence_for(error.status_code)) from error
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise PromptsNotPushed(
                f"Langfuse at {self._url} cannot be reached ({why}): check LANGFUSE_BASE_URL."
            ) from error
        except ValidationError as error:
            raise PromptsNotPushed(f"What answers at {self._url} is not Langfuse: check LANGFUSE_BASE_URL.") from error

    def _sentence_for(self, status: int | None) -> str:
        if status in {UNAUTHORISED, FORBIDDEN}:
            return (
                f"Langfuse at {self._url} refuses the keys (HTTP status {status}): check LANGFUSE_PUBLIC_KEY and "
                "LANGFUSE_SECRET_KEY, and that LANGFUSE_BASE_URL is where they were made."
            )
        if status == TOO_MANY or (status or 0) >= BROKEN:
            return f"Langfuse at {self._url} answered with HTTP status {status}: push again later."
        return f"What answers at {self._url} is not Langfuse (HTTP status {status}): check LANGFUSE_BASE_URL."
