"""Errors of the ai package."""

from ai.usage import Usage


class AiError(Exception):
    """Base class of all errors of this package; the message is a sentence."""


class ModelUnavailable(AiError):
    """The model gave no usable answer: it was unreachable, refused, over a limit, too slow, or in another format.

    `usage` is the usage of the unusable answer, if known.
    """

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage or Usage()


class TokenBudgetExceeded(ModelUnavailable):
    """The model was not called, because the call could exceed the remaining token budget."""


class PromptNotFound(AiError):
    """A prompt file is missing or has no name and version."""


class PromptsNotPushed(AiError):
    """A prompt could not be published; prompts before it may have been published."""


class TemplateError(AiError):
    """A template cannot be parsed or rendered; `names` are the affected variables, if any."""

    def __init__(self, message: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.names = names


class TracingMisconfigured(AiError):
    """Only one of the two Langfuse keys is set."""
