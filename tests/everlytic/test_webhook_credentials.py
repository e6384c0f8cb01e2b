"""Whether a push carries the credentials that were registered for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlytic.requests import basic_authorization
from everlytic.webhooks import matches_basic


@given(st.text(max_size=10), st.text(max_size=10))
def test_basic_matches_only_itself(username: str, password: str) -> None:
    """Exactly the registered credentials pass."""
    header = basic_authorization("hook", "pa:ss")
    assert matches_basic(header, "hook", "pa:ss")
    assert matches_basic(header, username, password) == (f"{username}:{password}" == "hook:pa:ss")


RIGHT = basic_authorization("hook", "pa:ss").removeprefix("Basic ")


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "Basic", "Basic ", "Basic !!!", RIGHT, f"Bearer {RIGHT}", f"Basic{RIGHT}", f"Basic {RIGHT[:-1]}"),
        *(f"Basic {RIGHT} {RIGHT}", basic_authorization("hook", "pa:s"), basic_authorization("hook", "pa:sss")),
    ],
)
def test_other_authorization_fails(header: str | None) -> None:
    """Absent and broken headers, and another scheme with the right credentials, fail without an exception."""
    assert not matches_basic(header, "hook", "pa:ss")


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    """RFC 7235 lets a client write the scheme in any case."""
    assert matches_basic(f"{scheme} {RIGHT}", "hook", "pa:ss")
