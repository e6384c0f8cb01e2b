import pytest

from domain.suppression import extract_domain, normalise_address


@pytest.mark.parametrize("written", ["ann@acme.example", " Ann@ACME.example ", "ANN@acme.EXAMPLE\n"])
def test_case_and_spaces_do_not_matter(written: str) -> None:
    """An address is the same in any case and with spaces around it."""
    assert normalise_address(written) == "ann@acme.example"


def test_the_domain_is_what_follows_the_last_at() -> None:
    """A quoted local part may contain an at sign; the domain follows the last one."""
    assert extract_domain('"odd@name"@Acme.Example') == "acme.example"
