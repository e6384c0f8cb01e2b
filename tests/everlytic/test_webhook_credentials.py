"""Tests the check of a webhook request's Basic credentials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlytic.requests import encode_basic_auth
from everlytic.webhooks import verify_basic_auth


@given(st.text(max_size=10), st.text(max_size=10))
def test_only_the_registered_credentials_pass(username: str, password: str) -> None:
    """The registered username and password pass, and no others."""
    header = encode_basic_auth("hook", "pa:ss")
    assert verify_basic_auth(header, "hook", "pa:ss")
    assert verify_basic_auth(header, username, password) == (f"{username}:{password}" == "hook:pa:ss")


RIGHT = encode_basic_auth("hook", "pa:ss").removeprefix("Basic ")


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "Basic", "Basic ", "Basic !!!", RIGHT, f"Bearer {RIGHT}", f"Basic{RIGHT}", f"Basic {RIGHT[:-1]}"),
        *(f"Basic {RIGHT} {RIGHT}", encode_basic_auth("hook", "pa:s"), encode_basic_auth("hook", "pa:sss")),
    ],
)
def test_other_authorization_fails(header: str | None) -> None:
    """Missing and malformed headers, and other schemes with the right credentials, fail without an exception."""
    assert not verify_basic_auth(header, "hook", "pa:ss")


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_case_of_the_scheme_does_not_matter(scheme: str) -> None:
    """The scheme may be written in any case, as RFC 7235 says."""
    assert verify_basic_auth(f"{scheme} {RIGHT}", "hook", "pa:ss")
