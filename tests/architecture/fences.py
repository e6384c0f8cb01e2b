"""Lists the fences of our SQL: what a writing statement compares so that a side that comes too late changes nothing.

A fence is a condition of an UPDATE, a DELETE, an INSERT … SELECT or an ON CONFLICT … WHERE, or of the SELECT by which
one of them locks its rows, on a column that says how far a row has come or whose it is at the moment: a status, an
outcome, a moment, a flag, an owner. A statement is named by the constant or the function that holds it:
`api.jobs.repository:_COMPLETE`. `python -m tests.architecture.fences` prints the list with what each compares.
"""

import ast
import re
import sys
from collections.abc import Iterator

import sqlalchemy as sa

import database.models  # noqa: F401 - registers every table on the metadata
from database.base import Base
from tests.architecture.tree import Source, imported_names, sources

FOLDERS = ("ai", "api", "database", "orchestration")
MIGRATIONS = "database/migrations/"

# What no type of its column tells.
NAMED = {"attempts", "encrypted_key", "intent", "locked_by", "pause_reason", "raw", "subject_hash"}
NO_FENCES = {
    "api.jobs.repository:_START": "compares slots that the statement itself has computed from rows it has locked",
    "api.imports.repository.uploads:_STORE_ROWS": "compares rows of a temporary table that no other session sees",
    "api.imports.repository.preview:store_outcomes": "writes a temporary table that no other session sees",
    "api.delivery.events.repository:_STORE_DELIVERIES": "returns what it compares and inserts whatever that is",
}
"""Statements that compare such a column for another reason, which is given."""

_WRITE = re.compile(r"\b(?:UPDATE|DELETE FROM|INSERT INTO)\s+(?:app|everlytic)\.|\bSKIP LOCKED\b")
_WHERE = re.compile(r"\bWHERE\b")
_PART = re.compile(r"[()]|\b(?:ORDER BY|LIMIT|FOR (?:NO KEY )?UPDATE|RETURNING|GROUP BY|UNION|DO)\b")
_COMPARED = re.compile(
    r"\b(\w+)\)*\s*(?:=|<>|[<>]=?|\bIN\b|\bIS\b)|\b(?:AND|NOT|OR)\s+(?:\w+\.)?(\w+)(?=\s*(?:\)|AND|$))"
)
_OPERATORS = {"between", "in_", "is_", "is_distinct_from", "is_not", "is_not_distinct_from", "not_in"}


def _is_state(column: sa.Column[object]) -> bool:
    """Whether a column says how far its row has come, or whose it is."""
    if column.primary_key:
        return False
    checks = (str(check.sqltext) for check in column.table.constraints if isinstance(check, sa.CheckConstraint))
    return isinstance(column.type, sa.DateTime | sa.Boolean) or any(
        check.startswith(f"{column.name} IN (") for check in checks
    )


STATE = NAMED | {column.name for table in Base.metadata.sorted_tables for column in table.c if _is_state(column)}


def fences() -> dict[str, list[str]]:
    """Return the columns that each fenced statement compares, by its id."""
    listed = {
        fence: columns
        for source in sources(*FOLDERS)
        if not source.path.startswith(MIGRATIONS)
        for fence, columns in fences_of(source)
    }
    return {fence: columns for fence, columns in sorted(listed.items()) if fence not in NO_FENCES}


def fences_of(source: Source) -> Iterator[tuple[str, list[str]]]:
    """Return the id and the compared columns of every fenced statement of a file."""
    names = imported_names(source)
    functions = {
        node.name: node for node in source.tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for node in source.tree.body:
        compared = set(_compared_in_text(node))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and _writes(node, names):
            helpers = [
                functions[name] for name in _names(node) & functions.keys() if not _writes(functions[name], names)
            ]
            compared |= {column for function in (node, *helpers) for column in _compared_in_calls(function)}
        if compared:
            yield f"{source.module}:{_name_of(node)}", sorted(compared)


def _name_of(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return f"line {node.lineno}"


def _compared_in_text(node: ast.stmt) -> Iterator[str]:
    """Return the columns that the SQL within a statement of Python compares."""
    texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    statement = "\n".join(texts)
    if _WRITE.search(statement):
        for where in _WHERE.finditer(statement):
            for column in _COMPARED.finditer(_condition(statement, where.end())):
                if (name := column[1] or column[2]) in STATE:
                    yield name


def _condition(statement: str, start: int) -> str:
    """Return the condition that begins at a place: up to the next clause, or the parenthesis that closes around it."""
    depth = 0
    for part in _PART.finditer(statement, start):
        depth += {"(": 1, ")": -1}.get(part[0], 0)
        if depth < 0 or (depth == 0 and part[0] not in {"(", ")"}):
            return statement[start : part.start()]
    return statement[start:]


def _writes(function: ast.AST, names: dict[str, str]) -> bool:
    """Whether a function builds an UPDATE, a DELETE, an INSERT … SELECT or an ON CONFLICT DO UPDATE by calls."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return any(
        (isinstance(called, ast.Name) and names.get(called.id) in {"sqlalchemy.update", "sqlalchemy.delete"})
        or (isinstance(called, ast.Attribute) and called.attr in {"from_select", "on_conflict_do_update"})
        for called in calls
    )  # fmt: skip


def _names(function: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}


def _compared_in_calls(function: ast.AST) -> Iterator[str]:
    """Return the columns of models that a function compares."""
    for node in ast.walk(function):
        operands: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _OPERATORS:
            operands = [node.func.value]
        elif isinstance(node, ast.Tuple):
            operands = node.elts[:1]
        for operand in operands:
            if isinstance(operand, ast.Attribute) and operand.attr in STATE and _is_model(operand.value):
                yield operand.attr


def _is_model(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id[:1].isupper()


if __name__ == "__main__":
    for fence, columns in fences().items():
        sys.stdout.write(f"{fence}  {', '.join(columns)}\n")
