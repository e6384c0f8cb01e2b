"""A planted fault: an edit of one source file, or a statement that is run on the migrated database."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters from `start` to `end` of a text. Offsets count characters."""

    start: int
    end: int
    replacement: str
    kind: str
    """What is broken, for example `WHERE term dropped`."""

    def apply(self, source: str) -> str:
        """Return the text with the fault in it."""
        return source[: self.start] + self.replacement + source[self.end :]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: where it is, what it changes, and how to plant it."""

    area: str
    """The folder that the fault is in, for example `api/delivery/sending`, `domain` or `schema`."""
    path: str
    """The source file below the root; the table for a fault in the schema."""
    line: int
    place: str
    """The function or constant that the fault is in; the index, policy or function of a schema."""
    kind: str
    before: str
    """The text that is changed, on one line."""
    after: str
    source: str = ""
    """The whole file with the fault in it; empty for a fault in the schema."""
    statement: str = ""
    """The DDL that makes the fault; empty for a fault in a file."""
    number: int = 0
    """Distinguishes faults of one place with the same text."""

    @property
    def id(self) -> str:
        """Return a short name that stays the same while other lines move."""
        key = "\0".join((self.path, self.place, self.kind, self.before, self.after, str(self.number)))
        return hashlib.sha256(key.encode()).hexdigest()[:10]


def one_line(text: str, most: int = 160) -> str:
    """Return the text with its white space folded, cut to `most` characters."""
    folded = " ".join(text.split())
    return folded if len(folded) <= most else f"{folded[: most - 1]}…"
