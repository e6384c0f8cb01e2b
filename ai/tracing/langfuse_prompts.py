"""Publishes the repository's prompts in Langfuse, so that traces link to the prompt they used.

A version has the same number in both. The repository is authoritative: its version increases with each change of a
text.
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
"""The label of the version that Langfuse returns by default; Langfuse sets the label `latest` itself."""
UNAUTHORIZED, FORBIDDEN, TOO_MANY_REQUESTS, SERVER_ERROR = 401, 403, 429, 500
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class PushResult:
    """The result of pushing a prompt, which now has its version and our label in Langfuse."""

    prompt: Prompt
    outcome: Literal["created", "labelled", "unchanged"]


def push_prompts(settings: AiSettings, prompts: Sequence[Prompt]) -> Iterator[PushResult]:
    """Publish prompts, and yield each one when it is published; existing versions do not change.

    All versions are checked before the first prompt is published. Raises PromptsNotPushed.
    """
    if not settings.langfuse_public_key or not settings.langfuse_secret_key:
        raise PromptsNotPushed("Set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY; prompts are pushed to their project.")
    from langfuse.api import LangfuseAPI  # noqa: PLC0415 - the import takes a second

    with httpx.Client(timeout=settings.langfuse_timeout_seconds) as http:
        client = _PromptClient(
            LangfuseAPI(
                base_url=settings.langfuse_base_url.rstrip("/"),
                username=settings.langfuse_public_key,
                password=settings.langfuse_secret_key.get_secret_value(),
                httpx_client=http,
            ),
            settings.langfuse_base_url,
        )
        latest = {prompt: client.find_latest(prompt.name) for prompt in prompts}
        for prompt, published in latest.items():
            _check_version(prompt, published)
        for prompt, published in latest.items():
            yield PushResult(prompt, _publish(client, prompt, published))


def _check_version(prompt: Prompt, published: "Prompt_Text | Prompt_Chat | None") -> None:
    """Raise PromptsNotPushed when Langfuse has a later version of a prompt, or another text with the same version."""
    if published is None or published.version < prompt.version:
        return
    if published.version > prompt.version:
        raise PromptsNotPushed(
            f"Langfuse has version {published.version} of {prompt.name}, and the file has version "
            f"{prompt.version}. Copy the changes from Langfuse, and set the file's version to {published.version + 1}. "
            "Nothing was pushed."
        )
    if published.prompt != prompt.text:
        raise PromptsNotPushed(
            f"Version {prompt.version} of {prompt.name} has another text in Langfuse. Set the file's version to "
            f"{prompt.version + 1}. Nothing was pushed."
        )


def _publish(
    client: "_PromptClient", prompt: Prompt, published: "Prompt_Text | Prompt_Chat | None"
) -> Literal["created", "labelled", "unchanged"]:
    latest_version = 0 if published is None else published.version
    if published is not None and latest_version == prompt.version:
        if LABEL in published.labels:
            return "unchanged"
        client.label(prompt)
        return "labelled"
    # Langfuse numbers versions itself, so missing numbers must be created first.
    for number in range(latest_version + 1, prompt.version + 1):
        client.create(prompt, number)
    return "created"


class _PromptClient:
    """Reads and writes prompts in Langfuse; all failures are raised as PromptsNotPushed with what to do."""

    def __init__(self, api: "LangfuseAPI", url: str) -> None:
        self._api = api
        self._url = url

    def find_latest(self, name: str) -> "Prompt_Text | Prompt_Chat | None":
        """Return the latest version of a prompt, or None."""
        from langfuse.api import NotFoundError  # noqa: PLC0415

        def read() -> "Prompt_Text | Prompt_Chat | None":
            try:
                prompt: Prompt_Text | Prompt_Chat = self._api.prompts.get(quote(name, safe=""), label="latest")
            except NotFoundError:
                return None
            return prompt

        return self._request(read)

    def create(self, prompt: Prompt, number: int) -> None:
        """Create a version that must get this number; only the version of the file gets the label."""
        from langfuse.api import CreateTextPromptRequest  # noqa: PLC0415

        is_last = number == prompt.version
        message = f"Version {number}, as numbered in the repository."
        if not is_last:
            message = f"Placeholder before the repository's version {prompt.version}."
        request = CreateTextPromptRequest(
            name=prompt.name, prompt=prompt.text, labels=[LABEL] if is_last else [], commit_message=message
        )
        # Without retries, because a lost response would create the version twice.
        created = self._request(lambda: self._api.prompts.create(request=request, request_options={"max_retries": 0}))
        if created.version != number:
            raise PromptsNotPushed(
                f"Langfuse stored version {number} of {prompt.name} as version {created.version}, because another push "
                "ran at the same time. Push again."
            )

    def label(self, prompt: Prompt) -> None:
        """Set the label on the existing version."""
        self._request(
            lambda: self._api.prompt_version.update(quote(prompt.name, safe=""), prompt.version, new_labels=[LABEL])
        )

    def _request(self, call: Callable[[], Response]) -> Response:
        from langfuse.api.core import ApiError  # noqa: PLC0415

        try:
            return call()
        except ApiError as error:
            raise PromptsNotPushed(self._describe_status(error.status_code)) from error
        except httpx.HTTPError as error:
            reason = str(error) or "no response"
            raise PromptsNotPushed(
                f"Langfuse at {self._url} cannot be reached ({reason}). Check LANGFUSE_BASE_URL."
            ) from error
        except ValidationError as error:
            raise PromptsNotPushed(f"The server at {self._url} is not Langfuse. Check LANGFUSE_BASE_URL.") from error

    def _describe_status(self, status: int | None) -> str:
        if status in {UNAUTHORIZED, FORBIDDEN}:
            return (
                f"Langfuse at {self._url} refuses the keys (HTTP status {status}). Check LANGFUSE_PUBLIC_KEY and "
                "LANGFUSE_SECRET_KEY, and that they belong to LANGFUSE_BASE_URL."
            )
        if status == TOO_MANY_REQUESTS or (status or 0) >= SERVER_ERROR:
            return f"Langfuse at {self._url} returned HTTP status {status}. Push again later."
        return f"The server at {self._url} is not Langfuse (HTTP status {status}). Check LANGFUSE_BASE_URL."
