from dataclasses import replace

import pytest

from domain.sender_identity import Identity, is_public_url, list_identity_problems

COMPLETE = Identity(
    provider_url="https://api.everlytic.net/transactional/email/v1",
    public_url="https://mail.acme.com",
    from_name="Ann",
    from_email="ann@acme.example",
    postal_address="1 Long Street, Cape Town",
)
SANDBOX = "http://127.0.0.1:8001/transactional/email/v1"


@pytest.mark.parametrize(
    "url",
    ["https://api.everlytic.net", "http://everlytic.example:81/x", "https://1.1.1.1", "https://[2606:4700::1111]/"],
)
def test_hosts_on_the_internet(url: str) -> None:
    """A host with a domain and a global address can be on the internet."""
    assert is_public_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "http://127.9.9.9",
        "http://[::1]:8000",
        "http://0.0.0.0",
        "http://10.0.0.7",
        "http://192.168.1.1",
        "http://localhost:8000",
        "http://LOCALHOST.",
        "http://api.localhost",
        "http://sandbox:8001",
        "http://printer.local",
        "http://[broken",
        "no URL",
        "",
    ],
)
def test_hosts_that_are_local(url: str) -> None:
    """Loopback and private addresses, local names, names of a container, and what is no URL are not."""
    assert not is_public_url(url)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ({"postal_address": " \n"}, "postalAddress"),
        ({"from_name": " "}, "defaultFromName"),
        ({"from_email": ""}, "defaultFromEmail"),
        ({"public_url": "http://127.0.0.1:8000"}, "SALESMATTER_PUBLIC_URL"),
    ],
)
def test_what_is_missing_is_named(missing: dict[str, str], named: str) -> None:
    """Each missing part is one sentence that names the setting; with a local provider nothing is missing."""
    incomplete = replace(COMPLETE, **missing)
    (problem,) = list_identity_problems(incomplete)
    assert named in problem
    assert list_identity_problems(replace(incomplete, provider_url=SANDBOX)) == []
    assert list_identity_problems(COMPLETE) == []
