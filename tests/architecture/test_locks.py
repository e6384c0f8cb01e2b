"""Every lock of the code has a test that carries its id, and every id that a test carries is a lock of the code."""

import ast

import pytest

from tests.architecture.locks import locks, locks_in
from tests.architecture.tree import Source, full_name, imported_names, parse, sources


def carried_in(source: Source) -> set[str]:
    """Return the ids in the `locks` markers of a file; an id that is not written down as a text is an error."""
    names = imported_names(source)
    markers = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and full_name(node.func, names) == "pytest.mark.locks"
    ]
    return {ast.literal_eval(argument) for marker in markers for argument in marker.args}


def test_every_lock_has_its_test() -> None:
    """A lock without a test that proves it, and a marker for a lock that is gone, are named."""
    listed, carried = set(locks()), {id_ for source in sources("tests") for id_ in carried_in(source)}
    assert sorted(listed - carried) == [], "give each a test that carries its id"
    assert sorted(carried - listed) == [], "these locks are gone: `python -m tests.architecture.locks` lists them all"


@pytest.mark.parametrize(
    ("text", "lock"),
    [
        ("async def f(): select(Lead).with_for_update()", ("f", "FOR UPDATE")),
        ("def f(): select(Lead).with_for_update(read=True, of=[Lead])", ("f", "FOR SHARE")),
        (
            "def f(): ids.with_for_update(key_share=True, skip_locked=True)",
            ("f", "FOR NO KEY UPDATE SKIP LOCKED"),
        ),
        ("def f(): select(Lead).with_for_update(read=True, key_share=True)", ("f", "FOR KEY SHARE")),
        ("_A = text('SELECT id FROM app.leads FOR NO KEY UPDATE OF leads')", ("_A", "FOR NO KEY UPDATE")),
        ("_A = '''SELECT id FROM app.leads\n  FOR UPDATE SKIP LOCKED'''", ("_A", "FOR UPDATE SKIP LOCKED")),
        ("_A: str = f'SELECT {1} FROM app.leads FOR ' 'KEY SHARE'", ("_A", "FOR KEY SHARE")),
        ("class C:\n  def f(self):\n    run('select 1 for share')", ("C.f", "FOR SHARE")),
        ("_A = text(f'SELECT pg_advisory_xact_lock_shared({1})')", ("_A", "pg_advisory_xact_lock_shared")),
        ("def f(): select(func.pg_try_advisory_lock(1))", ("f", "pg_try_advisory_lock")),
        ("_A = 'LOCK TABLE app.leads IN SHARE MODE'", ("_A", "LOCK TABLE")),
        ("def f(): fcntl.flock(handle, fcntl.LOCK_EX)", ("f", "LOCK_EX")),
        ("def f(): session.get(Lead, 1, with_for_update=True)", ("f", "FOR UPDATE")),
        ("_A = _SELECT + ' ORDER BY id FOR NO KEY UPDATE'", ("_A", "FOR NO KEY UPDATE")),
        ("execute('SELECT 1 FOR UPDATE')", ("<module>", "FOR UPDATE")),
    ],
)
def test_a_seeded_lock_is_listed(text: str, lock: tuple[str, str]) -> None:
    """The list can grow: each way to take a lock is seen, under the name of what takes it."""
    name, kind = lock
    assert [(found.place, found.kind) for found in locks_in(parse("api/people/leads/x.py", text))] == [
        (f"api.people.leads.x:{name}", kind)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n  'Select one FOR UPDATE.'",
        "A = 1\n'What is read FOR UPDATE.'",
        "_A = 'CREATE POLICY hold ON app.workspaces FOR UPDATE TO salesmatter_app USING (id = (SELECT 1))'",
        "_A = 'Wait for update of the list.'",
        "def f(): fcntl.flock(handle, fcntl.LOCK_UN)",
        "_A = 'SELECT pg_advisory_unlock(1)'",
    ],
)
def test_what_is_no_lock_is_not_listed(text: str) -> None:
    """A docstring, a policy, a sentence and the end of a lock are no locks."""
    assert list(locks_in(parse("api/people/leads/x.py", text))) == []
