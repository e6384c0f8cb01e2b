"""Which relations a statement names, and whether it may write."""

import contextlib

import pytest

from database.statements import WROTE, capture_relations, find_relations, may_write, record_statement


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("SELECT 1", set()),
        ("SELECT * FROM app.leads", {"leads"}),
        ("SELECT * FROM app.leads AS a JOIN everlytic.transactions AS t USING (id)", {"leads", "transactions"}),
        ('SELECT * FROM analytics."campaigns", app.claim_jobs(1)', {"campaigns", "claim_jobs"}),
        ("app.first SELECT app.last", {"first", "last"}),
        ("SELECT * FROM webapp.leads, public.leads, leads", set()),
        ("SELECT app.a_1b2", {"a_1b2"}),
    ],
)
def test_the_names_of_a_statement(statement: str, names: set[str]) -> None:
    """All names in one of our schemas are found, also the first and last word, and no other names."""
    assert find_relations(statement) == names


@pytest.mark.parametrize(
    ("statement", "writes"),
    [
        ("INSERT INTO app.leads DEFAULT VALUES", True),
        ("insert into app.leads default values", True),
        ("UPDATE app.leads SET id = id", True),
        ("DELETE FROM app.leads", True),
        ("MERGE INTO app.leads USING app.x ON true", True),
        ("COPY landing FROM STDIN", True),
        ("WITH gone AS (DELETE FROM app.leads RETURNING 1) SELECT 1", True),
        ("SELECT 1 FROM app.leads FOR UPDATE", True),
        ("SELECT 1 FROM app.leads FOR SHARE", False),
        ("SELECT updated_at, deleted_at, inserted FROM app.leads", False),
        ("SELECT copy_of FROM app.merged", False),
    ],
)
def test_writing_statements_are_detected(statement: str, writes: bool) -> None:
    """Each kind of write is detected in any case and position; words that only contain a keyword are not."""
    assert may_write(statement) is writes


def test_a_write_marks_the_connection() -> None:
    """A connection stays marked after a write, also when it reads afterwards."""
    info: dict[str, object] = {}
    record_statement("SELECT 1", info)
    assert info == {}
    record_statement("DELETE FROM app.leads", info)
    record_statement("SELECT 1", info)
    assert info == {WROTE: True}


def test_relations_are_captured_by_the_innermost_block() -> None:
    """Nothing is captured outside a block; a nested block captures only its own statements, also after an error."""
    record_statement("SELECT * FROM app.before", {})
    with capture_relations() as outer:
        record_statement("SELECT * FROM app.one", {})
        with contextlib.suppress(ZeroDivisionError), capture_relations() as inner:
            record_statement("SELECT * FROM app.two", {})
            _ = 1 / 0
        record_statement("SELECT * FROM app.three", {})
    record_statement("SELECT * FROM app.after", {})
    assert (outer, inner) == ({"one", "three"}, {"two"})
