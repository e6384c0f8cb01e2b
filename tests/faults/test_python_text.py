"""The faults that are planted in Python: in statements of SQLAlchemy, in strings of SQL and in plain code."""

import ast

import pytest

from faults.fault import Edit
from faults.python_text import find_code_edits, find_statement_edits

TRUE, FALSE = '__import__("sqlalchemy").true()', '__import__("sqlalchemy").false()'
ROW_LOCK, SKIP_LOCKED, SWAPPED, TIE = (
    "row lock dropped",
    "SKIP LOCKED dropped",
    "comparison swapped",
    "tie-break dropped",
)
WHERE, ON = "WHERE term dropped", "ON term dropped"

STATEMENTS: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    "where": (
        "select(Lead).where(Lead.id == lead_id, Lead.deleted_at.is_(None))",
        [(WHERE, "Lead.id == lead_id", TRUE), (WHERE, "Lead.deleted_at.is_(None)", TRUE)],
    ),
    "where after where": (
        "select(Lead).where(Lead.id == 1).where(Lead.name == 2)",
        [(WHERE, "Lead.id == 1", TRUE), (WHERE, "Lead.name == 2", TRUE)],
    ),
    "a comparison": (
        "select(Job).where(Job.due < now)",
        [(WHERE, "Job.due < now", TRUE), (SWAPPED, "<", "<=")],
    ),
    "a comparison from the other side": (
        "select(Job).where(now >= Job.due)",
        [(WHERE, "now >= Job.due", TRUE), (SWAPPED, ">=", ">")],
    ),
    "and_": (
        "select(Job).where(and_(Job.a == 1, Job.b == 2))",
        [(WHERE, "Job.a == 1", TRUE), (WHERE, "Job.b == 2", TRUE)],
    ),
    "or_": (
        "select(Job).where(or_(Job.a == 1, Job.b == 2), Job.c == 3)",
        [
            (WHERE, "or_(Job.a == 1, Job.b == 2)", TRUE),
            (WHERE, "Job.a == 1", FALSE),
            (WHERE, "Job.b == 2", FALSE),
            (WHERE, "Job.c == 3", TRUE),
        ],
    ),
    "& and |": (
        "select(Job).where((Job.a == 1) & ((Job.b == 2) | (Job.c == 3)))",
        [
            (WHERE, "Job.a == 1", TRUE),
            (WHERE, "(Job.b == 2) | (Job.c == 3)", TRUE),
            (WHERE, "Job.b == 2", FALSE),
            (WHERE, "Job.c == 3", FALSE),
        ],
    ),
    "join": (
        "select(Job).join(Lead, Lead.id == Job.lead_id).outerjoin(List, and_(List.id == Lead.list_id, List.a == 1))",
        [
            (ON, "Lead.id == Job.lead_id", TRUE),
            (ON, "List.id == Lead.list_id", TRUE),
            (ON, "List.a == 1", TRUE),
        ],
    ),
    "a join without a condition": ("select(Job).join(Job.lead)", []),
    "a filter of a frame": ('frame.filter(polars.col("a") == 1)', []),
    "a join that is none of SQL": ('os.path.join(folder, "name")', []),
    "having": (
        "select(Job.a).group_by(Job.a).having(func.count() == 1)",
        [("HAVING term dropped", "func.count() == 1", TRUE)],
    ),
    "a row lock": (
        "select(Job).with_for_update(of=Job)",
        [(ROW_LOCK, ".with_for_update(of=Job)", "")],
    ),
    "skip_locked": (
        "select(Job).with_for_update(of=Job, skip_locked=True)",
        [
            (ROW_LOCK, ".with_for_update(of=Job, skip_locked=True)", ""),
            (SKIP_LOCKED, "True", "False"),
        ],
    ),
    "order_by": (
        "select(Job).order_by(Job.due.desc(), Job.id)",
        [(TIE, ", Job.id", "")],
    ),
    "an order without a tie-break": ("select(Job).order_by(Job.id)", []),
    "a tuple of conditions": (
        "conditions = (Job.a == 1, Job.b == value)",
        [(WHERE, "Job.a == 1", TRUE), (WHERE, "Job.b == value", TRUE)],
    ),
    "characters of several bytes": (
        "select(Job).where(Job.a == 'é—ü', Job.b == 'é')",
        [(WHERE, "Job.a == 'é—ü'", TRUE), (WHERE, "Job.b == 'é'", TRUE)],
    ),
    "a string of SQL": (
        'text("SELECT a FROM t WHERE b = :b AND c < 2 ORDER BY a, id FOR UPDATE")',
        [
            (WHERE, "b = :b", "true"),
            (WHERE, "c < 2", "true"),
            (SWAPPED, "<", "<="),
            (TIE, ", id", ""),
            (ROW_LOCK, "FOR UPDATE", ""),
        ],
    ),
    "two literals side by side": (
        'text("SELECT a FROM t WHERE b = 1 "\n     "AND c = 2 ORDER BY a")',
        [(WHERE, "b = 1", "true"), (WHERE, "c = 2", "true")],
    ),
    "an f-string": (
        'text(f"SELECT a FROM {table} WHERE b = {value} AND {names[0]} = 2")',
        [(WHERE, "b = {value}", "true"), (WHERE, "{names[0]} = 2", "true")],
    ),
    "a string over several lines": (
        'text(\n    """\n    SELECT a\n    FROM t\n    WHERE b = 1\n    """\n)',
        [(WHERE, "b = 1", "true")],
    ),
    "a string that ends with a quote": (
        'text("""SELECT a FROM t WHERE b = \'c\'""")',
        [(WHERE, "b = 'c'", "true")],
    ),
    "a comment between two literals": (
        'text(\n    "SELECT a FROM t WHERE b = 1 "  # why "c"\n    # and why not\n    "AND c = 2"\n)',
        [(WHERE, "b = 1", "true"), (WHERE, "c = 2", "true")],
    ),
    "a character that ends a line elsewhere": (
        "a = '\u2028'\nselect(Job).where(Job.a == 1)",
        [(WHERE, "Job.a == 1", TRUE)],
    ),
    "a string that is no SQL": ("log('in WHICH case a < b and c = 1')", []),
    "docstrings": (
        (
            '"""SELECT a FROM t WHERE b = 1"""\n'
            'def f():\n    """Run SELECT a FROM t WHERE b < 1 FOR UPDATE."""\n'
            'class C:\n    """SELECT a WHERE b = 1"""\n    a: int = 1\n    """SELECT a WHERE c = 1"""\n'
        ),
        [],
    ),
}


def texts_of(source: str, edits: list[Edit]) -> list[tuple[str, str, str]]:
    """Return the kind, the text that is replaced and the replacement of each edit."""
    return sorted((edit.kind, source[edit.start : edit.end], edit.replacement) for edit in edits)


@pytest.mark.parametrize("name", STATEMENTS)
def test_each_part_of_a_statement_is_edited(name: str) -> None:
    """Exactly the terms, locks, tie-breaks and comparisons of a statement are edited, and the result is Python."""
    source, expected = STATEMENTS[name]
    edits = list(find_statement_edits(source))
    assert texts_of(source, edits) == sorted(expected)
    for edit in edits:
        ast.parse(edit.apply(source))


CODE: dict[str, tuple[str, list[str]]] = {
    "a comparison": ("def f(a, b):\n    return a < b\n", ["def f(a, b):\n    return a <= b\n"]),
    "a decision": (
        "def f(a, b):\n    return a and not b\n",
        ["def f(a, b):\n    return a and b\n", "def f(a, b):\n    return a or not b\n"],
    ),
    "a number and a sign": (
        "A = b + 3\n",
        ["A = b + 4\n", "A = b - 3\n"],
    ),
    "docstrings and decorators": ('@retry(times=3, again=True)\ndef f():\n    """Return a < 3."""\n', []),
}


@pytest.mark.parametrize("name", CODE)
def test_plain_code_is_edited(name: str) -> None:
    """Exactly the comparisons, conditions, signs and numbers of plain code change; decorators and docstrings do not."""
    source, faulty = CODE[name]
    assert sorted(ast.unparse(ast.parse(edit.apply(source))) + "\n" for edit in find_code_edits(source)) == sorted(
        faulty
    )
