"""Finds in the text of a statement which relations it names and whether it writes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

WROTE = "wrote"
"""The key in a connection's info dictionary that is set when its transaction may have changed rows."""

SCHEMAS = ("app", "everlytic", "analytics")
STATEMENTS_REMEMBERED = 4_096

_RELATION = re.compile(rf"\b(?:{'|'.join(SCHEMAS)})\.\"?([a-z_][a-z0-9_]*)")
_WRITES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|COPY)\b", re.IGNORECASE)
_captured: ContextVar[set[str] | None] = ContextVar("captured", default=None)


@contextmanager
def capture_relations() -> Iterator[set[str]]:
    """Collect the names, without schema, of all tables and functions that the statements of the block use."""
    names: set[str] = set()
    token = _captured.set(names)
    try:
        yield names
    finally:
        _captured.reset(token)


def record_statement(statement: str, info: dict[str, Any]) -> None:
    """Add a statement's relations to `capture_relations`, and mark its connection when it may write."""
    if (names := _captured.get()) is not None:
        names |= find_relations(statement)
    if may_write(statement):
        info[WROTE] = True


@lru_cache(maxsize=STATEMENTS_REMEMBERED)
def find_relations(statement: str) -> frozenset[str]:
    """Return the tables and functions that a statement names; in our SQL all of them are qualified with the schema."""
    return frozenset(_RELATION.findall(statement))


@lru_cache(maxsize=STATEMENTS_REMEMBERED)
def may_write(statement: str) -> bool:
    """Return whether a statement may change rows; FOR UPDATE counts too."""
    return _WRITES.search(statement) is not None
