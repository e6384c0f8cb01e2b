import re

import polars as pl
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import assume, given
from hypothesis import strategies as st

from api.imports.files.addresses import (
    PLAIN_ADDRESS,
    PLAIN_CHARACTERS,
    RESERVED_ENDINGS,
    SHOWN_CHARACTERS,
    check_addresses,
)

letters = "abcdefghijklmnopqrstuvwxyz"
words = st.text(letters + "0123456789", min_size=1, max_size=20)
atoms = st.text(letters + "0123456789!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=20)
labels = st.lists(words, min_size=1, max_size=3).map("-".join)
endings = st.text(letters, min_size=2, max_size=20) | st.sampled_from(["com", "za", "local", "test", "example"])
plain = st.tuples(
    st.lists(atoms, min_size=1, max_size=3).map(".".join), st.lists(labels, min_size=1, max_size=3), endings
).map(lambda parts: f"{parts[0]}@{'.'.join(parts[1])}.{parts[2]}")


def valid(cell: str) -> str | None:
    """Return what the validator makes of a cell."""
    try:
        return validate_email(cell, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError:
        return None


@given(plain)
def test_plain_is_valid(address: str) -> None:
    """Whatever the pattern vouches for, the validator takes as it stands, so asking it would change nothing."""
    assert re.fullmatch(PLAIN_ADDRESS, address)
    assume(len(address) <= PLAIN_CHARACTERS and address.rpartition(".")[2] not in RESERVED_ENDINGS)
    assert valid(address) == address


def judged(*cells: str | None) -> list[tuple[str | None, str | None]]:
    """Return address and problem of some cells."""
    found = check_addresses(pl.Series(cells, dtype=pl.String))
    assert found.schema == {"address": pl.String, "problem": pl.String}
    return found.rows()


@pytest.mark.parametrize(
    ("cell", "address"),
    [
        ("Ann@Example.com", "ann@example.com"),
        (" ann@example.com\u00a0", "ann@example.com"),
        ("jürgen@müller.de", "jürgen@müller.de"),
        ("ann@xn--mller-kva.de", "ann@müller.de"),
        ("ann@b--c.com", "ann@b--c.com"),
        ("Ann Lee <Ann@Example.com>", "ann@example.com"),
        ('"Lee, Ann" <ann@example.com>;', "ann@example.com"),
        ("ann@example.org <ann@example.com>", "ann@example.com"),
        ("<ann@example.com>", "ann@example.com"),
        ("Jürgen <jürgen@müller.de>", "jürgen@müller.de"),
        ("mailto:ann@example.com", "ann@example.com"),
        ("MAILTO: ann@example.com", "ann@example.com"),
        ("E-Mail: ann@example.com", "ann@example.com"),
        ("ann@example.com;", "ann@example.com"),
        ("ann@example.com, ", "ann@example.com"),
        ("'ann@example.com'", "ann@example.com"),
        ('"ann@example.com"', "ann@example.com"),
        ("\u201cann@example.com\u201d", "ann@example.com"),
        ("(ann@example.com)", "ann@example.com"),
        ("\ufeffann@exam\u200bple.com", "ann@example.com"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("'ann@example.com", "'ann@example.com"),
        ("ann@example.com.", "ann@example.com"),
        ("ann@example.com.,", "ann@example.com"),
        ("ann\uff20example.com", "ann@example.com"),
        ("mailto:ann@example.com?subject=Hi", "ann@example.com"),
        ("<mailto:ann@example.com?subject=Hi&body=a@b>", "ann@example.com"),
        ("a?b@example.com", "a?b@example.com"),
        ("a@example.com ::: b@example.com", "a@example.com"),
        ("A@example.com:::a@example.com", "a@example.com"),
        ("N/A ::: b@example.com", "b@example.com"),
        ("a@ ::: b@example.com ::: c@example.com", "b@example.com"),
        ("a@example.com / b@example.com", "a@example.com"),
        ("office\nb@example.com", "b@example.com"),
        ("a@example.com; b@example.com", "a@example.com"),
        ("a@example.com b@example.com", "a@example.com"),
        ("a@example.com/b@example.com", "a@example.com"),
        ("a@; b@example.com", "b@example.com"),
        ("Ann <a@server.local>, Bob <b@example.com>", "b@example.com"),
        ("ann@example.com, 082 555 0101", "ann@example.com"),
    ],
)
def test_an_address_is_taken_out(cell: str, address: str) -> None:
    """What people and programs write around an address is taken off it; of several the first valid one counts."""
    assert judged(cell) == [(address, None)]


@pytest.mark.parametrize(
    ("cell", "address"),
    [
        ("'ann@example.com", "ann@example.com"),
        ("\u2018Ann@example.com", "ann@example.com"),
        ("'o'brien@example.com", "o'brien@example.com"),
        ("'ann@example.com'", "ann@example.com"),
        ("o'brien@example.com", "o'brien@example.com"),
    ],
)
def test_the_apostrophe_of_a_spreadsheet_is_taken_off(cell: str, address: str) -> None:
    """In files of leads an apostrophe before an address is no part of it; one within it is."""
    assert check_addresses(pl.Series([cell]), has_apostrophes=True).rows() == [(address, None)]


@pytest.mark.parametrize(
    "cell",
    [
        "n/a",
        "@",
        ";",
        "ann lee@example.com",
        "lee, ann@example.com",
        "ann @example.com",
        "not ann@example.com any more",
        "ann@server.local",
        "ann@example",
        "a\x00b@example.com",
        "x" * 500 + "@example.com",
    ],
)
def test_an_address_is_not_guessed(cell: str) -> None:
    """Where other words stand before an address, or none is valid, a sentence says so and shows the cell."""
    ((address, problem),) = judged(cell)
    assert address is None
    assert problem is not None
    shown = cell if len(cell) <= SHOWN_CHARACTERS else f"{cell[:SHOWN_CHARACTERS]}…"
    assert problem.startswith(f"'{shown}' is not an email address")
    assert problem.endswith(".")
    assert len(problem) < 400


def test_blank_cells() -> None:
    """A blank cell has neither address nor problem, and the order of the cells is kept."""
    found = judged("", "b@example.com", None, " \u200b", "no", "b@example.com", "a@example.com;", "no")
    assert [address for address, _ in found] == [
        None,
        "b@example.com",
        None,
        None,
        None,
        "b@example.com",
        "a@example.com",
        None,
    ]
    assert [problem is not None for _, problem in found] == [False] * 4 + [True] + [False] * 2 + [True]
    assert judged() == []


pieces = st.sampled_from([*"abA.@<>;, '\"():/", "a@x.com", ".com", "mailto:", "a@", "\u200b"])


@given(st.lists(pieces, max_size=12).map("".join))
def test_whatever_stands_in_a_cell(cell: str) -> None:
    """An address that was found is one by itself; a cell that is a valid address stays what it is."""
    ((address, problem),) = judged(cell)
    assert (address is None) or (problem is None)
    assert address is None or judged(address) == [(address, None)]
    assert valid(cell.strip()) in {None, address}
