"""Migrations are literal SQL, so that an old one still does the same when the code around it has changed."""

import ast
import sys

import pytest

from tests.architecture.tree import Source, called, imported_names, parse, sources

REVISIONS = "database/migrations/versions"
USED_OF_ALEMBIC = {"alembic.op", "alembic.op.execute", "alembic.op.get_bind"}
"""What runs SQL. The functions that build tables and columns from Python objects are not used."""


def violations_in(source: Source) -> list[str]:
    """Return what a revision imports or calls besides literal SQL, each with its place."""
    imports = [
        f"{source.path}: imports {name}"
        for name in imported_names(source).values()
        if name.partition(".")[0] not in sys.stdlib_module_names and name not in USED_OF_ALEMBIC
    ]
    calls = [
        f"{source.path}:{call.lineno}: {name}"
        for name, call in called(source)
        if name.startswith("alembic.")
        if name not in USED_OF_ALEMBIC or any(_is_built(argument) for argument in call.args)
    ]
    return imports + calls


def _is_built(argument: ast.expr) -> bool:
    """Whether a statement is computed and not written down."""
    return any(isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call) for node in ast.walk(argument))


def test_migrations_are_literal_sql() -> None:
    """A revision imports neither our code nor SQLAlchemy, and runs statements as they are written in it."""
    revisions = sources(REVISIONS)
    assert revisions
    assert [violation for source in revisions for violation in violations_in(source)] == []


@pytest.mark.parametrize(
    "text",
    [
        "from database.tenancy import Scope\n",
        "import database.models\n",
        "def upgrade():\n    from domain.lead import LeadStatus\n",
        "import sqlalchemy as sa\n",
        "from alembic import op\nop.add_column('leads', None)\n",
        "from alembic.op import drop_table\n",
        "from alembic import op\nop.execute(f'DROP TABLE {1}')\n",
        "from alembic import op\nop.execute('DROP TABLE {}'.format(1))\n",
        "from alembic import op\nop.execute('DROP TABLE ' + name)\n",
    ],
)
def test_a_seeded_violation_is_found(text: str) -> None:
    """The check above can fail: our code, SQLAlchemy, Alembic's builders and computed statements are reported."""
    assert len(violations_in(parse(f"{REVISIONS}/0002_x.py", text))) == 1


def test_literal_sql_is_accepted() -> None:
    """A statement in a constant or in the call, and the connection for one with parameters, are accepted."""
    text = "from alembic import op\nA = 'SELECT 1'\nop.execute(A)\nop.execute('SELECT 2')\nop.get_bind()\n"
    assert violations_in(parse(f"{REVISIONS}/0002_x.py", text)) == []
