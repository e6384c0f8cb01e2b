"""Plants faults in Python files: in SQLAlchemy statements, in SQL strings, and with Cosmic Ray in plain code."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from faults.fault import Edit
from faults.sql_text import find_sql_edits, is_sql

_TRUE, _FALSE = '__import__("sqlalchemy").true()', '__import__("sqlalchemy").false()'
_SWAPS = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">"}
OPERATORS = {
    "core/ReplaceComparisonOperator_Lt_LtE": "comparison swapped",
    "core/ReplaceComparisonOperator_LtE_Lt": "comparison swapped",
    "core/ReplaceComparisonOperator_Gt_GtE": "comparison swapped",
    "core/ReplaceComparisonOperator_GtE_Gt": "comparison swapped",
    "core/ReplaceComparisonOperator_Eq_NotEq": "comparison inverted",
    "core/ReplaceComparisonOperator_NotEq_Eq": "comparison inverted",
    "core/ReplaceBinaryOperator_Add_Sub": "sign swapped",
    "core/ReplaceBinaryOperator_Sub_Add": "sign swapped",
    "core/ReplaceAndWithOr": "and replaced with or",
    "core/ReplaceOrWithAnd": "or replaced with and",
    "core/ReplaceUnaryOperator_Delete_Not": "not dropped",
    "core/AddNot": "condition inverted",
    "core/ReplaceTrueWithFalse": "constant changed",
    "core/ReplaceFalseWithTrue": "constant changed",
    "core/NumberReplacer": "constant changed",
    "core/ReplaceBreakWithContinue": "loop changed",
    "core/ReplaceContinueWithBreak": "loop changed",
    "core/ZeroIterationForLoop": "loop changed",
}
"""The operators of Cosmic Ray that are used. The others make unrealistic code or break its types."""


def find_code_edits(source: str) -> Iterator[Edit]:
    """Yield the faults that Cosmic Ray plants in plain code."""
    nodes = list(ast_nodes(get_ast(source)))
    decorators = _decorator_lines(source)
    for name, kind in OPERATORS.items():
        operator = get_operator(name)()
        positions = sum(len(list(operator.mutation_positions(node))) for node in nodes)
        # NumberReplacer replaces each number by n + 1 and by n - 1; the first is enough.
        for occurrence in range(0, positions, 2 if name.endswith("NumberReplacer") else 1):
            mutated = mutate_code(source, operator, occurrence)
            if mutated is None or mutated == source:
                continue
            edit = _difference(source, mutated, kind)
            if source.count("\n", 0, edit.start) + 1 not in decorators:
                yield edit


def find_statement_edits(source: str) -> Iterator[Edit]:
    """Yield the faults that can be planted in SQLAlchemy statements and in SQL strings."""
    positions = _Positions(source)
    tree = ast.parse(source)
    ignored = _docstrings(tree) | _parts_of_literals(tree)
    seen: set[tuple[int, int, str]] = set()
    for node in ast.walk(tree):
        for edit in (
            *_of_call(node, positions),
            *_of_collection(node, positions),
            *_of_string(node, positions, ignored),
        ):
            if (key := (edit.start, edit.end, edit.replacement)) not in seen:
                seen.add(key)
                yield edit


def _decorator_lines(source: str) -> set[int]:
    return {
        line
        for node in ast.walk(ast.parse(source))
        for decorator in getattr(node, "decorator_list", ())
        for line in range(decorator.lineno, (decorator.end_lineno or decorator.lineno) + 1)
    }


class _Positions:
    """Converts the lines and byte columns of `ast` to offsets in the text."""

    def __init__(self, source: str) -> None:
        self.source = source
        # `ast` ends lines only at line feeds; str.splitlines ends them at more characters.
        self._lines = [f"{line}\n" for line in source.split("\n")]
        self._starts = [0, *accumulate(len(line) for line in self._lines)]

    def start(self, node: ast.expr) -> int:
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr) -> int:
        return self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())


def _docstrings(tree: ast.Module) -> set[int]:
    """Return the ids of all strings that are a statement."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def _parts_of_literals(tree: ast.Module) -> set[int]:
    """Return the ids of the strings inside f-strings; an f-string is read as a whole."""
    return {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}


def _of_call(node: ast.AST, positions: _Positions) -> Iterator[Edit]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    name = node.func.attr
    if name in {"where", "filter", "having"}:
        kind = "HAVING term dropped" if name == "having" else "WHERE term dropped"
        for argument in node.args:
            # Polars filters its frames by a method of the same name.
            if name != "filter" or _holds_column(argument):
                yield from _term(argument, positions, kind, _TRUE)
    elif name in {"join", "outerjoin"} and len(node.args) > 1 and _is_join_condition(node.args[1]):
        yield from _term(node.args[1], positions, "ON term dropped", _TRUE)
    elif name == "with_for_update":
        yield Edit(positions.end(node.func.value), positions.end(node), "", "row lock dropped")
        yield from _without_skip_locked(node, positions)
    elif name == "order_by" and len(node.args) > 1:
        yield Edit(positions.end(node.args[-2]), positions.end(node.args[-1]), "", "tie-break dropped")


def _without_skip_locked(node: ast.Call, positions: _Positions) -> Iterator[Edit]:
    for keyword in node.keywords:
        if keyword.arg == "skip_locked":
            yield Edit(positions.start(keyword.value), positions.end(keyword.value), "False", "SKIP LOCKED dropped")


def _term(node: ast.expr, positions: _Positions, kind: str, neutral: str) -> Iterator[Edit]:
    """Yield the edits that drop a condition, or each term of a condition with several."""
    if isinstance(node, ast.Starred):
        return
    parts, neutral_of_parts = _parts(node)
    for part in parts:
        yield from _term(part, positions, kind, neutral_of_parts)
    if not parts:
        yield from _swapped(node, positions)
    # A term of an AND is dropped by `true`. Dropping the whole AND would find nothing more.
    if neutral_of_parts != neutral:
        yield Edit(positions.start(node), positions.end(node), neutral, kind)


def _parts(node: ast.expr) -> tuple[list[ast.expr], str]:
    """Return the terms of a condition with several, and the text that drops one of them."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"and_", "or_"}:
        return node.args, _TRUE if node.func.id == "and_" else _FALSE
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        return [node.left, node.right], _TRUE if isinstance(node.op, ast.BitAnd) else _FALSE
    return [], ""


def _swapped(node: ast.expr, positions: _Positions) -> Iterator[Edit]:
    for compare in ast.walk(node):
        if isinstance(compare, ast.Compare) and type(compare.ops[0]) in _SWAPS:
            start, end = positions.end(compare.left), positions.start(compare.comparators[0])
            between = positions.source[start:end]
            swap = _SWAPS[type(compare.ops[0])]
            operator = {"<=": "<", "<": "<=", ">=": ">", ">": ">="}[swap]
            at = start + between.index(operator)
            yield Edit(at, at + len(operator), swap, "comparison swapped")


def _of_collection(node: ast.AST, positions: _Positions) -> Iterator[Edit]:
    """Yield the edits of conditions that are first in a tuple or list, or are returned or assigned."""
    if isinstance(node, ast.Tuple | ast.List):
        if any(_is_condition(element) for element in node.elts):
            for element in node.elts:
                if _is_condition(element):
                    yield from _term(element, positions, "WHERE term dropped", _TRUE)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"and_", "or_"}:
        yield from _term(node, positions, "WHERE term dropped", _TRUE)
    elif isinstance(node, ast.Assign | ast.Return) and node.value is not None and _is_condition(node.value):
        yield from _term(node.value, positions, "WHERE term dropped", _TRUE)


def _is_condition(node: ast.expr) -> bool:
    """Return whether an expression compares a column of a model."""
    if isinstance(node, ast.Compare):
        return _is_column(node.left) or any(_is_column(side) for side in node.comparators)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        return _is_condition(node.left) or _is_condition(node.right)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"is_", "is_not", "in_", "not_in", "like", "ilike", "contains"}
        and _is_column(node.func.value)
    )


def _is_join_condition(node: ast.expr) -> bool:
    """Return whether the second argument of a `join` is a condition, and not a part of a path or `true()`."""
    is_true = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "true"
    return not is_true and not isinstance(node, ast.Constant)


def _holds_column(node: ast.expr) -> bool:
    """Return whether an expression contains a column of a model, or of a table or subquery (`rows.c.id`)."""
    return any(isinstance(part, ast.Attribute) and (part.attr == "c" or _is_column(part)) for part in ast.walk(node))


def _is_column(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id[:1].isupper()
        and node.attr.islower()
    )


def _of_string(node: ast.AST, positions: _Positions, ignored: set[int]) -> Iterator[Edit]:
    is_text = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    if not is_text or id(node) in ignored:
        return
    assert isinstance(node, ast.expr)
    start, end = positions.start(node), positions.end(node)
    literal = positions.source[start:end]
    if not is_sql(literal):
        return
    quote = 3 if literal.lstrip("rbfRBF")[:3] in {'"""', "'''"} and literal[-3:] == literal[-1] * 3 else 1
    skipped = len(literal) - len(literal.lstrip("rbfRBF")) + quote
    text = literal[skipped : len(literal) - quote]
    for edit in find_sql_edits(text):
        yield replace(edit, start=edit.start + start + skipped, end=edit.end + start + skipped)


def _difference(source: str, mutated: str, kind: str) -> Edit:
    """Return the smallest edit from `source` to `mutated`."""
    most = min(len(source), len(mutated))
    start = next((index for index in range(most) if source[index] != mutated[index]), most)
    tail = 0
    while tail < most - start and source[-1 - tail] == mutated[-1 - tail]:
        tail += 1
    return Edit(start, len(source) - tail, mutated[start : len(mutated) - tail], kind)
