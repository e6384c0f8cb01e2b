"""SQL lives in four places: database/, api/**/repository, dbt_project/ and orchestration/defs/*/."""

import ast
import re

import pytest

from tests.architecture.tree import PACKAGES, Source, called, full_name, imported_names, parse, sources

PLACES = re.compile(r"database/|api/(\w+/)+repository(/\w+)?\.py$|orchestration/defs/\w+/")
BUILDERS = {
    *(
        "delete",
        "exists",
        "func",
        "insert",
        "literal_column",
        "select",
        "table",
        "text",
        "union",
        "union_all",
        "update",
    ),
    *("values", "with_parent", "lambda_stmt", "from_statement"),
}
"""What SQLAlchemy makes statements of."""
RUNNERS = {"execute", "executemany", "scalar", "scalars", "stream", "stream_scalars", "copy"}
STATEMENT = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s*\(|COPY\s+\S+\s+(FROM|TO)\s"
    r"|(CREATE|ALTER|DROP|TRUNCATE|GRANT|REVOKE)\s+\w+\s)"
)


def sql_in(source: Source) -> list[str]:
    """Return where a file builds or runs SQL, or holds it as text."""
    names = imported_names(source)
    found: list[tuple[int, str]] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value):
            found.append((node.lineno, f"holds SQL: {' '.join(node.value.split()[:3])}"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sqlalchemy":
            found += [(node.lineno, f"imports {alias.name}") for alias in node.names if alias.name in BUILDERS]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            built = (full_name(node.func, names) or "").startswith("sqlalchemy.") and node.func.attr in BUILDERS
            run = node.func.attr in RUNNERS and bool(node.args) and isinstance(node.args[0], ast.JoinedStr)
            if built or run:
                found.append((node.lineno, f"calls {node.func.attr}"))
    return [f"{source.path}:{line}: {what}" for line, what in sorted(found)]


def strays(files: tuple[Source, ...]) -> list[str]:
    """Return where SQL stands outside its places."""
    return [found for source in files if not PLACES.match(source.path) for found in sql_in(source)]


def test_sql_lives_in_its_places() -> None:
    """No statement is built, run or written down outside the four places."""
    assert strays(sources(*PACKAGES)) == []


SEEDED = (
    ("api/people/leads/service.py", "from sqlalchemy import select\n"),
    ("api/people/leads/endpoints.py", "from sqlalchemy.dialects.postgresql import insert\n"),
    (
        "api/outreach/drafts/tasks.py",
        "import sqlalchemy as sa\nasync def run(session):\n    await session.execute(sa.text('x'))\n",
    ),
    ("api/http/documentation.py", "QUERY = 'SELECT count(*) FROM app.leads'\n"),
    (
        "api/http/dependencies.py",
        "async def ask(session):\n    await session.execute('UPDATE app.leads SET status = 1')\n",
    ),
    ("orchestration/run.py", "def ask(connection, table):\n    connection.execute(f'TABLE {table}')\n"),
    ("salesmatter/accounts.py", "SQL = '''\n    WITH due AS (\n      SELECT 1\n    ) SELECT * FROM due'''\n"),
    ("ai/models.py", "def purge(cursor):\n    cursor.execute('DELETE FROM app.leads')\n"),
)


@pytest.mark.parametrize(("path", "text"), SEEDED, ids=[path for path, _ in SEEDED])
def test_a_seeded_statement_is_found(path: str, text: str) -> None:
    """The check above can fail: SQL in a place that is none of the four is reported, with its place."""
    found = strays((parse(path, text),))
    assert found
    assert all(one.startswith(path) for one in found)


def test_the_places_are_let_be() -> None:
    """The same statement is no stray where SQL belongs."""
    allowed = (
        "api/people/leads/repository.py",
        "api/imports/repository/undo.py",
        "database/jobs.py",
        "orchestration/defs/everlytic/landing.py",
    )
    assert strays(tuple(parse(path, "QUERY = 'SELECT 1 FROM app.leads'\n") for path in allowed)) == []


def test_the_api_divides_nothing() -> None:
    """A rate is defined by dbt alone: nothing in the analytics room, its SQL included, divides or adds up."""
    divided = [
        f"{source.path}:{node.lineno}"
        for source in sources("api/analytics")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
    ]
    added_up = [
        f"{source.path}:{call.lineno}"
        for source in sources("api/analytics")
        for name, call in called(source)
        if name in {"sqlalchemy.func.avg", "sqlalchemy.func.count", "sqlalchemy.func.sum"}
    ]
    assert divided + added_up == []
