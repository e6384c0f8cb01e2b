"""Plants faults in SQL text: terms, locks, comparisons and tie-breaks.

It reads tokens, not grammar, so that SQL with placeholders of Python, psycopg and Jinja can be read as it stands.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from faults.fault import Edit

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*|/\*.*?\*/
        |"[ ]*(?:\#[^\n]*)?\n(?:\s*\#[^\n]*\n)*\s*[rf]?")     # also the seam between two literals of Python
    | (?P<template>\{\{.*?\}\}|\{%.*?%\}|\{\#.*?\#\}|\{[^{}]*\})
    | (?P<string>'(?:[^']|'')*'|"[^"\n]*")
    | (?P<quote>\$[A-Za-z_]*\$)
    | (?P<word>::?\w+|%s|%\(\w+\)s|[A-Za-z_]\w*|\d[\d.]*)
    | (?P<operator>->>|->|<->|[<>=!~@\#&|^]+)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_STATEMENT = re.compile(r"\b(SELECT|UPDATE|DELETE FROM|INSERT INTO|WHERE|HAVING|ORDER BY|FOR UPDATE)\b")
_CLAUSE_ENDS = frozenset(
    ("GROUP", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", "RETURNING", "UNION", "EXCEPT", "INTERSECT", "WINDOW",
     "JOIN", "LEFT", "RIGHT", "INNER", "FULL", "CROSS", "NATURAL", "WHERE", "HAVING", "ON", "SELECT", "INSERT",
     "UPDATE", "DELETE", "DO", "LOOP", "THEN", "SET", "VALUES", "WHEN", "WITH")
)  # fmt: skip
_ORDER_ENDS = frozenset(
    ("LIMIT", "OFFSET", "FETCH", "FOR", "RETURNING", "UNION", "EXCEPT", "INTERSECT", "ON", "LOOP", "ROWS", "RANGE",
     "GROUPS", "SELECT", "FILTER")
)  # fmt: skip
_SWAPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_LOCK_WORDS = frozenset(("NO", "KEY", "UPDATE", "SHARE", "OF", "NOWAIT", "SKIP", "LOCKED"))


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "word" else ""


def is_sql(text: str) -> bool:
    """Return whether a Python string looks like SQL."""
    return _STATEMENT.search(text) is not None


def find_sql_edits(text: str) -> Iterator[Edit]:
    """Yield every fault that can be planted in an SQL text."""
    tokens = list(_tokens(text))
    yield from _dropped_terms(text, tokens)
    yield from _dropped_locks(tokens)
    yield from _dropped_ties(tokens)
    for token in tokens:
        if token.kind == "operator" and token.text in _SWAPS:
            yield Edit(token.start, token.end, _SWAPS[token.text], "comparison swapped")


def _tokens(text: str) -> Iterator[_Token]:
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind == "space" or (kind == "template" and match[0][1] in "%#"):
            continue
        if match[0] == ")":
            depth -= 1
        yield _Token(kind, match[0], match.start(), match.end(), depth)
        if match[0] == "(":
            depth += 1


def _dropped_terms(text: str, tokens: list[_Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens):
        if token.word not in {"WHERE", "ON", "HAVING"} or _is_other_on(tokens, index):
            continue
        clause = _until(tokens, index + 1, token.depth, _CLAUSE_ENDS, commas=token.word == "ON")
        yield from _terms(text, clause, f"{token.word} term dropped", "true")


def _is_other_on(tokens: list[_Token], index: int) -> bool:
    """Return whether an ON belongs to DISTINCT ON, ON CONFLICT, ON DELETE or to DDL, and not to a join."""
    if tokens[index].word != "ON":
        return False
    before = tokens[index - 1].word if index else ""
    after = tokens[index + 1].word if index + 1 < len(tokens) else ""
    if before == "DISTINCT" or after in {"CONFLICT", "DELETE", "UPDATE", "COMMIT"}:
        return True
    for token in reversed(tokens[:index]):
        if token.depth < tokens[index].depth or token.text == ";":
            break
        if token.depth == tokens[index].depth and token.word in {"JOIN", "MERGE"}:
            return False
    return True


def _until(tokens: list[_Token], start: int, depth: int, ends: frozenset[str], *, commas: bool) -> list[_Token]:
    """Return the tokens of a clause that begins at `start`."""
    clause: list[_Token] = []
    cases = 0
    for token, following in zip(tokens[start:], [*tokens[start + 1 :], None], strict=True):
        is_call = token.word in {"LEFT", "RIGHT"} and following is not None and following.text == "("
        is_end = (
            (token.word in ends and not is_call)
            or token.text == ";"
            or token.kind == "quote"
            or (commas and token.text == ",")
        )
        if token.depth < depth or (token.depth == depth and not cases and is_end):
            break
        cases += (token.word == "CASE") - (token.word == "END" and cases > 0)
        clause.append(token)
    return clause


def _terms(text: str, clause: list[_Token], kind: str, neutral: str) -> Iterator[Edit]:
    """Yield one edit for each term of a condition, and for the terms of its brackets.

    `neutral` drops the whole condition. Terms that AND joins are dropped by `true`, so an edit that drops all of them
    by `true` would say no more. Alternatives that OR joins are dropped by `false`.
    """
    condition = _without_brackets(clause)
    if condition and condition[0].word == "NOT" and (negated := _without_brackets(condition[1:])) != condition[1:]:
        yield from _joined_terms(text, negated, kind)
    junction = yield from _joined_terms(text, condition, kind)
    if clause and junction != neutral and text[clause[0].start : clause[-1].end].lower() not in {"true", "false"}:
        yield Edit(clause[0].start, clause[-1].end, neutral, kind)


def _joined_terms(text: str, condition: list[_Token], kind: str) -> Generator[Edit, None, str]:
    """Yield the edits of the parts of a condition; returns the text that drops a part, empty for a single part.

    OR is split first, because it binds less than AND.
    """
    for junction, neutral in (("OR", "false"), ("AND", "true")):
        parts = _split(condition, junction)
        if len(parts) > 1:
            for part in parts:
                yield from _terms(text, part, kind, neutral)
            return neutral
    return ""


def _without_brackets(clause: list[_Token]) -> list[_Token]:
    """Return the content of brackets around a whole condition. A query in brackets is a value and no condition."""
    inner = clause[1:-1]
    is_bracketed = bool(inner) and clause[0].text == "(" and clause[-1].text == ")" and inner[0].depth > clause[0].depth
    if not is_bracketed or inner[0].word in {"SELECT", "WITH"} or any(t.depth <= clause[0].depth for t in inner):
        return clause
    return _without_brackets(inner)


def _split(clause: list[_Token], junction: str) -> list[list[_Token]]:
    """Return the parts of a condition that AND or OR joins, except the AND of BETWEEN and any inside of CASE."""
    parts: list[list[_Token]] = [[]]
    between = cases = 0
    for token in clause:
        cases += (token.word == "CASE") - (token.word == "END")
        if token.depth == clause[0].depth and not cases:
            if token.word == "BETWEEN":
                between += 1
            elif token.word == "AND" and between:
                between -= 1
            elif token.word == junction:
                parts.append([])
                continue
        parts[-1].append(token)
    return parts


def _dropped_locks(tokens: list[_Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens):
        if token.word.startswith("PG_ADVISORY") or token.word.startswith("PG_TRY_ADVISORY"):
            # `abs` takes the same argument and locks nothing.
            yield Edit(token.start, token.end, "abs", "advisory lock dropped")
        following = [other.word for other in tokens[index + 1 : index + 3]]
        if token.word != "FOR" or not following or following[0] not in {"UPDATE", "NO", "SHARE", "KEY"}:
            continue
        clause = [token]
        for other in tokens[index + 1 :]:
            if other.word not in _LOCK_WORDS and clause[-1].text.upper() not in {"OF", ","} and other.text != ",":
                break
            clause.append(other)
        yield Edit(token.start, clause[-1].end, "", "row lock dropped")
        words = [other.word for other in clause]
        if "SKIP" in words:
            yield Edit(clause[words.index("SKIP")].start, clause[-1].end, "", "SKIP LOCKED dropped")


def _dropped_ties(tokens: list[_Token]) -> Iterator[Edit]:
    for index, token in enumerate(tokens[:-1]):
        if token.word != "ORDER" or tokens[index + 1].word != "BY":
            continue
        clause = _until(tokens, index + 2, token.depth, _ORDER_ENDS, commas=False)
        commas = [position for position, other in enumerate(clause) if other.text == "," and other.depth == token.depth]
        if commas:
            yield Edit(clause[commas[-1]].start, clause[-1].end, "", "tie-break dropped")
