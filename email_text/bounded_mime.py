"""Parses untrusted MIME messages with fixed limits on the depth and the number of their parts.

Python's parser recurses once per level. Without the limit the interpreter's recursion depth would decide which
messages can be read.
"""

from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any

MAX_PART_DEPTH = 100
"""How many levels of parts and attached messages a message may have, itself included."""
MAX_PARTS = 10_000
"""How many parts one part may have; in a delivery status each blank line begins another one."""


class MimeLimitExceeded(ValueError):
    """A message exceeds a limit; the error message is the predicate, such as "nests deeper than 100 levels"."""


class _BoundedMessage(Message):
    """A message or part that knows its depth."""

    depth = 1
    """The number of levels down to this part, itself included."""

    # The parser attaches each part to its parent before it reads the part's content.
    def attach(self, payload: Any) -> None:
        """Add a part; raises MimeLimitExceeded."""
        payload.depth = self.depth + 1
        if payload.depth > MAX_PART_DEPTH:
            raise MimeLimitExceeded(f"nests deeper than {MAX_PART_DEPTH} levels")
        parts = self.get_payload()
        if isinstance(parts, list) and len(parts) >= MAX_PARTS:
            raise MimeLimitExceeded(f"has more than {MAX_PARTS:,} parts side by side")
        super().attach(payload)


def parse_message(raw: bytes) -> Message:
    """Return the parsed message; headers stay plain text. Raises MimeLimitExceeded."""
    return BytesParser(_BoundedMessage, policy=compat32).parsebytes(raw)
