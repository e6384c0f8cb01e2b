"""What can go wrong in this room, as one tree of named sentences."""


class AiError(Exception):
    """The base of every error this room raises on purpose; its text is a full sentence."""


class ModelUnavailable(AiError):
    """The model gave no usable answer: unreachable, refused, over its limits, too late, or not in the agreed form."""


class PromptNotFound(AiError):
    """A workflow asked for a prompt file that is missing or has no name and version."""


class TemplateError(AiError):
    """A template cannot be parsed or rendered; `names` are the variables concerned, possibly none."""

    def __init__(self, message: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.names = names


class TracingMisconfigured(AiError):
    """Langfuse has one of its two keys, not both."""
