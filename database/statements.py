"""What a statement touches, read off its text: the tables it names, and whether it writes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

WROTE = "wrote"
"""In what a connection remembers: its transaction may have changed rows."""

SCHEMAS = ("app", "everlytic", "analytics")
STATEMENTS_REMEMBERED = 4_096

_NAMED = re.compile(rf"\b(?:{'|'.join(SCHEMAS)})\.\"?([a-z_][a-z0-9_]*)")
_WRITES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|COPY)\b", re.IGNORECASE)
_asked: ContextVar[set[str] | None] = ContextVar("asked", default=None)


@contextmanager
def noting_names() -> Iterator[set[str]]:
    """Gather the names of all that the statements of the block ask, tables and functions, without their schema."""
    names: set[str] = set()
    token = _asked.set(names)
    try:
        yield names
    finally:
        _asked.reset(token)


def note(statement: str, memory: dict[str, Any]) -> None:
    """Take down what a statement is about to touch: its names for whoever gathers them, a write with its connection."""
    if (names := _asked.get()) is not None:
        names |= names_in(statement)
    if may_write(statement):
        memory[WROTE] = True


@lru_cache(maxsize=STATEMENTS_REMEMBERED)
def names_in(statement: str) -> frozenset[str]:
    """Return the tables and functions of ours that a statement names: all are written with their schema."""
    return frozenset(_NAMED.findall(statement))


@lru_cache(maxsize=STATEMENTS_REMEMBERED)
def may_write(statement: str) -> bool:
    """Tell whether a statement may change a row; a lock taken to change one later counts too."""
    return _WRITES.search(statement) is not None
