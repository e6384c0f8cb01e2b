import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from api.tabular.addresses import PLAIN_ADDRESS, PLAIN_CHARACTERS, RESERVED_ENDINGS, check_addresses

letters = "abcdefghijklmnopqrstuvwxyz"
words = st.text(letters + "0123456789", min_size=1, max_size=20)
atoms = st.text(letters + "0123456789!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=20)
labels = st.lists(words, min_size=1, max_size=3).map("-".join)
endings = st.text(letters, min_size=2, max_size=20) | st.sampled_from(["com", "za", "local", "test", "example"])
plain = st.tuples(
    st.lists(atoms, min_size=1, max_size=3).map(".".join), st.lists(labels, min_size=1, max_size=3), endings
).map(lambda parts: f"{parts[0]}@{'.'.join(parts[1])}.{parts[2]}")


@given(plain)
def test_plain_is_valid(address: str) -> None:
    """Whatever the pattern vouches for, the validator takes as it stands, so asking it would change nothing."""
    assert re.fullmatch(PLAIN_ADDRESS, address)
    assume(len(address) <= PLAIN_CHARACTERS and address.rpartition(".")[2] not in RESERVED_ENDINGS)
    assert check_addresses([address]).addresses == [address]


@pytest.mark.parametrize(
    ("cell", "address"),
    [
        ("Ann@Example.com", "ann@example.com"),
        ("jürgen@müller.de", "jürgen@müller.de"),
        ("ann@xn--mller-kva.de", "ann@müller.de"),
        ("ann@example", None),
        ("ann@b--c.com", "ann@b--c.com"),
        ("ann@server.local", None),
        ("n/a", None),
        ("ann@example.com; bob@example.com", None),
        ("Ann <ann@example.com>", None),
        ("x" * 500 + "@example.com", None),
        ("a\u0000b@example.com", None),
    ],
)
def test_the_rest(cell: str, address: str | None) -> None:
    """What is not plain is judged by the validator, with a sentence that shows the cell, cut to a readable length."""
    checked = check_addresses([cell])
    assert checked.addresses == [address]
    (problem,) = checked.problems
    if address is None:
        assert problem is not None
        assert cell[:100] in problem
        assert len(problem) < 400
    else:
        assert problem is None
