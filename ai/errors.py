"""What can go wrong in this room, as one tree of named sentences."""

from ai.usage import Usage


class AiError(Exception):
    """The base of every error this room raises on purpose; its text is a full sentence."""


class ModelUnavailable(AiError):
    """The model gave no usable answer: unreachable, refused, over its limits, too late, or not in the agreed form.

    `usage` is what the useless answer took, as far as it is known.
    """

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage or Usage()


class OverBudget(ModelUnavailable):
    """The model was not asked, because it would have taken more tokens than are left to take."""


class PromptNotFound(AiError):
    """A workflow asked for a prompt file that is missing or has no name and version."""


class PromptsNotPushed(AiError):
    """The prompts could not be published; nothing says that those before the one named were not."""


class TemplateError(AiError):
    """A template cannot be parsed or rendered; `names` are the variables concerned, possibly none."""

    def __init__(self, message: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.names = names


class TracingMisconfigured(AiError):
    """Langfuse has one of its two keys, not both."""
