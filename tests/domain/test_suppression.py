from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.suppression import extract_domain, normalise_address, suppression_hash, suppression_hashes

ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize("written", ["ann@acme.example", " Ann@ACME.example ", "ANN@acme.EXAMPLE\n"])
def test_case_and_spaces_do_not_matter(written: str) -> None:
    """An address has the same hash in any case and with spaces around it."""
    assert suppression_hash(ONE, written) == suppression_hash(ONE, "ann@acme.example")
    assert normalise_address(written) == "ann@acme.example"


def test_hashes_differ_between_workspaces() -> None:
    """The same address has different hashes in two workspaces."""
    assert suppression_hash(ONE, "ann@acme.example") != suppression_hash(OTHER, "ann@acme.example")


def test_the_domain_is_what_follows_the_last_at() -> None:
    """A quoted local part may contain an at sign; the domain follows the last one."""
    assert extract_domain('"odd@name"@Acme.Example') == "acme.example"


def test_an_address_has_a_hash_of_its_own_and_one_of_its_domain() -> None:
    """The two hashes are that of the address and that of `@domain`; addresses of one domain share the second."""
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
