"""Reads messages of MIME parts that others wrote, within a limit of our own to how deep the parts nest.

Python's parser calls itself for each level: without the limit the interpreter's recursion decides what can be read.
"""

from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any

MAX_PART_DEPTH = 100
"""How many parts and messages may stand within each other; a mail that was forwarded over and over nests less."""


class PartsNestTooDeep(ValueError):
    """The parts of a message nest too deeply; the message is the predicate "nests deeper than 100 levels"."""


class _BoundedMessage(Message):
    """A message or part that knows how deep it stands."""

    depth = 1
    """How many parts it stands within, with itself."""

    # The parser attaches each part to the one around it before it reads what the part holds.
    def attach(self, payload: Any) -> None:
        """Add a part; raises PartsNestTooDeep."""
        payload.depth = self.depth + 1
        if payload.depth > MAX_PART_DEPTH:
            raise PartsNestTooDeep(f"nests deeper than {MAX_PART_DEPTH} levels")
        super().attach(payload)


def parse_message(raw: bytes) -> Message:
    """Return a message whose headers stay text; raises PartsNestTooDeep."""
    return BytesParser(_BoundedMessage, policy=compat32).parsebytes(raw)
