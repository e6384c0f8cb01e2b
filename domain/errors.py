"""The errors of the rules: each says which rule said no."""

from collections.abc import Iterable


class DomainError(Exception):
    """A rule of the domain said no."""


class InvalidTransition(DomainError):
    """An event was applied in a state from which it leads nowhere."""

    def __init__(self, noun: str, state: str, event: str, sources: Iterable[str]) -> None:
        self.noun, self.state, self.event = noun, state, event
        legal = ", ".join(sorted(sources)) or "no state"
        article = "An" if noun[0] in "aeiou" else "A"
        super().__init__(f"{article} {noun} that is {state} cannot take '{event}'; it is possible from {legal}.")


class NoSendingTime(DomainError):
    """No moment within the search horizon satisfies all constraints."""
