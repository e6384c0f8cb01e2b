"""Which addresses are public."""

from ipaddress import ip_address

import pytest

from egress.addresses import is_public


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("168.63.129.16", "168.63.129.16"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "255.255.255.255"),
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("64:ff9b::7f00:0", "64:ff9b::7fff:ffff"),
    ],
)
def test_the_edges_of_special_ranges(first: str, last: str) -> None:
    """The first and the last address of a special range are not public; the neighbours outside it are."""
    low, high = ip_address(first), ip_address(last)
    assert not is_public(low)
    assert not is_public(high)
    if first != "0.0.0.0":
        assert is_public(low - 1)
    if last not in {"255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}:
        assert is_public(high + 1)


@pytest.mark.parametrize(
    "address",
    ["::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1",
     "fd00:ec2::254", "ff02::1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1", "2002:7f00:1::", "5f00::1"],
)  # fmt: skip
def test_special_ipv6_addresses(address: str) -> None:
    """Loopback, mapped, local, multicast and translated addresses of IPv6 are not public."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    """Addresses of hosts on the internet are public, also a public IPv4 address behind NAT64."""
    assert is_public(ip_address(address))
