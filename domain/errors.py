"""The errors that the business rules raise."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)
Event = TypeVar("Event", bound=StrEnum)


class DomainError(Exception):
    """A business rule was violated."""


class InvalidTransition(DomainError):
    """An event is illegal in the current state; the message says which states allow it.

    `action` completes the sentence "Only leads with status … can be …".
    """

    def __init__(
        self, noun: str, state: State, event: Event, transitions: Mapping[tuple[State, Event], State], action: str
    ) -> None:
        self.noun, self.state, self.event = noun, state, event
        name = state.lower()
        if name == action:
            message = f"This {noun} has already been {action}."
        elif state in {target for (_, cause), target in transitions.items() if cause == event}:
            message = f"This {noun} has already failed." if name == "failed" else f"This {noun} is already {name}."
        else:
            sources = sorted(source for source, cause in transitions if cause == event)
            allowed = " or ".join(filter(None, [", ".join(sources[:-1]), sources[-1]]))
            message = f"Only {noun}s with status {allowed} can be {action}."
        super().__init__(message)


class NoSendingTime(DomainError):
    """No moment within the search horizon satisfies all rules."""
