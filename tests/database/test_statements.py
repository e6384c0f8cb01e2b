"""What is read off the text of a statement: the names it asks, and whether it may write."""

import contextlib

import pytest

from database.statements import WROTE, may_write, names_in, note, noting_names


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
    """All that stands in a schema of ours is found, the first word and the last included, and nothing else."""
    assert names_in(statement) == names


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
def test_what_may_write(statement: str, writes: bool) -> None:
    """Each kind of write is one, in any case and anywhere; words that only contain its name are none."""
    assert may_write(statement) is writes


def test_a_write_is_remembered_until_it_is_taken() -> None:
    """A connection remembers that its transaction wrote, also when it reads afterwards."""
    memory: dict[str, object] = {}
    note("SELECT 1", memory)
    assert memory == {}
    note("DELETE FROM app.leads", memory)
    note("SELECT 1", memory)
    assert memory == {WROTE: True}


def test_names_are_gathered_by_the_innermost_block() -> None:
    """Outside a block nothing is gathered; a block within a block gathers for itself alone, also after an error."""
    note("SELECT * FROM app.before", {})
    with noting_names() as outer:
        note("SELECT * FROM app.one", {})
        with contextlib.suppress(ZeroDivisionError), noting_names() as inner:
            note("SELECT * FROM app.two", {})
            _ = 1 / 0
        note("SELECT * FROM app.three", {})
    note("SELECT * FROM app.after", {})
    assert (outer, inner) == ({"one", "three"}, {"two"})
