from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.suppression import domain_of, normalise_address, suppression_hash, suppression_hashes

ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize("written", ["ann@acme.example", " Ann@ACME.example ", "ANN@acme.EXAMPLE\n"])
def test_spelling_does_not_matter(written: str) -> None:
    """An address is suppressed however it is spelt."""
    assert suppression_hash(ONE, written) == suppression_hash(ONE, "ann@acme.example")
    assert normalise_address(written) == "ann@acme.example"


def test_a_hash_says_nothing_to_another_tenant() -> None:
    """The same address has another hash in another workspace."""
    assert suppression_hash(ONE, "ann@acme.example") != suppression_hash(OTHER, "ann@acme.example")


def test_the_domain_is_what_follows_the_last_at() -> None:
    """A quoted local part may hold an at sign; the domain is still the last part."""
    assert domain_of('"odd@name"@Acme.Example') == "acme.example"


def test_an_address_is_stopped_by_itself_and_by_its_domain() -> None:
    """The two hashes are that of the address and that of `@domain`, which no address shares."""
    own, whole_domain = suppression_hashes(ONE, "Ann@Acme.example")
    assert own == suppression_hash(ONE, "ann@acme.example")
    assert whole_domain == suppression_hash(ONE, "@acme.example")
    assert suppression_hashes(ONE, "bob@acme.example")[1] == whole_domain


@given(st.text(max_size=60))
def test_the_hash_is_stable_and_opaque(value: str) -> None:
    """Any text has one lower-case SHA-256, and hashing the normalised form changes nothing."""
    digest = suppression_hash(ONE, value)
    assert len(digest) == 64
    assert set(digest) <= set("0123456789abcdef")
    assert suppression_hash(ONE, normalise_address(value)) == suppression_hash(ONE, normalise_address(value).strip())
