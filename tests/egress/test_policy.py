"""What the policy permits, and that a connection is made to the address that was checked."""

from collections.abc import Sequence

import pytest

from egress.addresses import LOOPBACK
from egress.errors import AddressRefused, NameNotFound
from egress.policy import EgressPolicy
from egress.settings import EgressSettings, allow_loopback
from egress.sockets import connect

pytestmark = pytest.mark.anyio


def naming(*answers: Sequence[str]) -> EgressPolicy:
    """Return a policy without an allow-list, whose names have these addresses, one answer after the other."""
    remaining = iter(answers)
    return EgressPolicy(look_up=lambda _name: next(remaining))


async def test_a_public_host_is_resolved() -> None:
    """The addresses of a public host are returned, at most four of them."""
    addresses = [f"8.8.8.{number}" for number in range(1, 7)]
    assert await naming(addresses).resolve("mail.example") == addresses[:4]
    assert await EgressPolicy().resolve("[2606:4700:4700::1111]") == ["2606:4700:4700::1111"]


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:169.254.169.254"], ["fe80::1%eth0"], ["not an address"]],
)
async def test_a_host_with_any_other_address_is_refused(addresses: list[str]) -> None:
    """A name with one address that is not public is refused, and the sentence does not name the address."""
    with pytest.raises(AddressRefused) as refused:
        await naming(addresses).resolve("mail.example")
    assert str(refused.value) == (
        "The host mail.example has an address to which connections are not allowed. Use a host on the internet."
    )


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "localhost", "127.0.0.1", "[::1]", "0"])
async def test_every_spelling_of_this_machine_is_refused(host: str) -> None:
    """This machine is refused however its address is written, by the resolver of this machine."""
    with pytest.raises((AddressRefused, NameNotFound)):
        await EgressPolicy().resolve(host)


@pytest.mark.parametrize("host", ["", "no.such.invalid", "a..b", "x" * 300])
async def test_an_unknown_name(host: str) -> None:
    """A name that is not found, empty or no name is NameNotFound."""
    with pytest.raises(NameNotFound):
        await EgressPolicy().resolve(host)


async def test_an_allowed_network_is_permitted() -> None:
    """With an allow-list, its networks are permitted and no others."""
    policy = EgressPolicy(LOOPBACK)
    assert await policy.resolve("127.0.0.1") == ["127.0.0.1"]
    with pytest.raises(AddressRefused):
        await policy.resolve("10.0.0.1")


async def test_a_name_that_changes_its_address_is_checked_again() -> None:
    """A name that was public when it was checked is refused when the connection finds another address."""
    policy = naming(["8.8.8.8"], ["127.0.0.1"])
    assert await policy.resolve("rebinding.example") == ["8.8.8.8"]
    with pytest.raises(AddressRefused):
        connect(policy, "rebinding.example", 993, 1.0)


def test_production_allows_no_network_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings no network is allowed; `up` and the demo add this machine to what the settings allow."""
    name = "SALESMATTER_EGRESS_ALLOWED_NETWORKS"
    monkeypatch.delenv(name)
    assert EgressSettings(_env_file=None).egress_policy.allowed_networks == ()
    monkeypatch.setenv(name, '["10.1.0.0/16"]')
    monkeypatch.setenv(name, allow_loopback()[name])
    assert [str(network) for network in EgressSettings().egress_allowed_networks] == [
        "10.1.0.0/16",
        "127.0.0.0/8",
        "::1/128",
    ]
