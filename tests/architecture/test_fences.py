"""Every fence has a test that carries its id: `@pytest.mark.fences("api.jobs.repository:_COMPLETE")`."""

import ast

import pytest

from tests.architecture.fences import NO_FENCES, fences, fences_of
from tests.architecture.tree import Source, parse, sources


def marked(source: Source) -> set[str]:
    """Return the ids of the fences whose markers a file's tests carry."""
    return {
        argument.value
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fences"
        for argument in decorator.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def test_every_fence_has_its_test() -> None:
    """Each statement that compares a state has a test with its id, and no marker names one that is not there."""
    proved = {fence for source in sources("tests") for fence in marked(source)}
    listed = set(fences())
    assert sorted(listed - proved) == [], "these fences have no test"
    assert sorted(proved - listed) == [], "these markers name no fence"


def test_exceptions_are_needed() -> None:
    """Each statement that is let be would be on the list otherwise."""
    found = {fence for source in sources("api") for fence, _ in fences_of(source)}
    assert set(NO_FENCES) <= found


END = """
from sqlalchemy import update
def end(job):
    return update(Job).where(Job.id == job.id, Job.attempts == job.attempts)
"""
FORGET = """
from sqlalchemy import delete
def _wanted():
    return [Draft.status.in_(("new",))]
async def forget():
    return delete(Draft).where(*_wanted())
"""
TAKE = """
from sqlalchemy.dialects.postgresql import insert
def take():
    return insert(Key).on_conflict_do_update(where=Key.created_at < now())
"""
SEEDED = (
    ("_MOVE = text('UPDATE app.leads SET status = :new WHERE id = :id AND status = :old')", "_MOVE", ["status"]),
    ("_DELETE = 'DELETE FROM app.send_slots WHERE draft_id = %s AND NOT is_used'", "_DELETE", ["is_used"]),
    (
        "_ADD = 'INSERT INTO app.leads (id) SELECT id FROM (SELECT id FROM x) AS y WHERE lower(y.status) IN (:a)'",
        "_ADD",
        ["status"],
    ),
    (
        "_PUT = 'INSERT INTO app.x (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1 WHERE x.locked_by = :worker'",
        "_PUT",
        ["locked_by"],
    ),
    (
        "_END = 'DELETE FROM app.x WHERE id IN (SELECT id FROM app.y ORDER BY id) AND completed_at < :before'",
        "_END",
        ["completed_at"],
    ),
    (END, "end", ["attempts"]),
    (FORGET, "forget", ["status"]),
    (TAKE, "take", ["created_at"]),
)


@pytest.mark.parametrize(("text", "name", "columns"), SEEDED, ids=[name for _, name, _ in SEEDED])
def test_a_seeded_fence_is_listed(text: str, name: str, columns: list[str]) -> None:
    """A statement that compares a state is listed, however it is written down."""
    assert list(fences_of(parse("api/seeded/repository.py", text))) == [(f"api.seeded.repository:{name}", columns)]


@pytest.mark.parametrize(
    "text",
    [
        "_READ = 'SELECT id FROM app.leads WHERE status = :status'",
        "_PUT = 'UPDATE app.leads SET status = :status WHERE id = :id AND workspace_id = :workspace_id'",
        "_PUT = 'WITH x AS (SELECT id FROM app.x WHERE id > 0) UPDATE app.y SET a = CASE WHEN status = :b THEN 1 END'",
        "from sqlalchemy import select\ndef find():\n    return select(Lead).where(Lead.status == 'New')\n",
        "from sqlalchemy import update\ndef put():\n    return update(Lead).where(Lead.id == 1).values(status='New')\n",
    ],
)
def test_other_statements_are_not_listed(text: str) -> None:
    """A statement that reads, or that writes by ids alone, is no fence."""
    assert list(fences_of(parse("api/seeded/repository.py", text))) == []


def test_a_statement_in_a_file_counts_where_it_is_loaded() -> None:
    """The fences of a statement in `sql/` are those of the constant that loads it."""
    text = '_UNDO = text(load_statement(__file__, "undo_block"))'
    (fence,) = fences_of(parse("api/imports/repository/seeded.py", text))
    assert fence == ("api.imports.repository.seeded:_UNDO", ["created_at", "deleted_at", "kept_because"])
