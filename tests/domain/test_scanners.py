from ipaddress import ip_address

import pytest

from domain.scanners import (
    is_prefetching_agent,
    is_prefetching_network,
    is_scanner_agent,
    is_scanner_network,
    parse_public_address,
)


@pytest.mark.parametrize(
    "address",
    [
        "67.231.152.9",  # Proofpoint
        "148.163.159.255",
        "41.74.193.1",  # Mimecast, South Africa
        "41.74.206.255",
        "170.10.133.7",  # Mimecast, United States
        "209.222.87.1",  # Barracuda
        "40.107.22.89",  # Exchange Online
        "52.103.255.255",
        "2a01:111:f403::1",
        "196.14.171.1",  # Symantec, South Africa
    ],
)
def test_scanner_networks(address: str) -> None:
    """Addresses of mail security vendors are recognised, including the first and last of a range."""
    assert is_scanner_network(ip_address(address))


@pytest.mark.parametrize(
    "address", ["41.74.203.10", "41.74.207.1", "148.163.160.0", "52.104.0.0", "102.65.1.1", "2a01:111:f404::1", "::1"]
)
def test_other_networks(address: str) -> None:
    """Addresses just outside of a vendor's range are not scanners."""
    assert not is_scanner_network(ip_address(address))


def test_apples_network_prefetches_and_does_not_scan() -> None:
    """Apple's network is a prefetcher and not a scanner."""
    assert is_prefetching_network(ip_address("17.58.0.1"))
    assert not is_scanner_network(ip_address("17.58.0.1"))
    assert not is_prefetching_network(ip_address("18.0.0.0"))


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "LinkedInBot/1.0",
        "Slackbot-LinkExpanding 1.0",
        "bot",
        "Barracuda Sentinel (EE)",
        "Mozilla/5.0 (compatible; Mimecast-TTP)",
        "Trend Micro WTP",
        "CiscoSecureEmail/1",
        "Baiduspider+(+http://www.baidu.com/search/spider.htm)",
        "python-requests/2.31.0",
        "Go-http-client/1.1",
        "curl/8.4.0",
        "Java/1.8.0_151",
        "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/119.0.0.0",
        "Mozilla/5.0 (Windows NT 6.1) BingPreview/1.0b",
        "acme URLScanner",
    ],
)
def test_scanner_agents(agent: str) -> None:
    """User agents of bots, HTTP libraries and mail security products are recognised."""
    assert is_scanner_agent(agent)


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
        "Mozilla/5.0 (Linux; Android 8.1; CUBOT X18 Plus) AppleWebKit/537.36 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 9; CUBOT_NOTE_S) AppleWebKit/537.36",
        "Mozilla/5.0 (Windows NT 6.3; U; Security; rv:1.9) Gecko robotics",
        "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
        "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.5; Pro)",
        "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 Avast/120.0",
        "okhttp/4.9",
        "",
    ],
)
def test_agents_of_people(agent: str) -> None:
    """Browsers, mail clients and image proxies of mailbox providers are not scanners, even with similar names."""
    assert not is_scanner_agent(agent)
    assert not is_prefetching_agent(agent)


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",
    ],
)
def test_prefetching_agents(agent: str) -> None:
    """The user agents of Apple's and Gmail's prefetchers are recognised, and are not scanners."""
    assert is_prefetching_agent(agent)
    assert not is_scanner_agent(agent)


def test_a_user_agent_is_read_up_to_2000_characters() -> None:
    """A product name that ends at character 2,000 is recognised; one that ends later is not."""
    assert is_scanner_agent(" " * 1996 + "curl")
    assert not is_scanner_agent(" " * 1997 + "curl")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("41.74.193.1", "41.74.193.1"),
        (" 41.74.193.1 ", "41.74.193.1"),
        ("41.74.193.1:443", "41.74.193.1"),
        ("41.74.193.1, 10.0.0.1", "41.74.193.1"),
        ("10.0.0.1, unknown, 41.74.193.1", "41.74.193.1"),
        ("[2a01:111:f403::1]:443", "2a01:111:f403::1"),
        ("2a01:111:f403::1", "2a01:111:f403::1"),
        ("::ffff:41.74.193.1", "41.74.193.1"),
        ("192.168.0.1", None),
        ("fe80::1%eth0", None),
        ("999.1.1.1", None),
        ("1.2.3", None),
        ("", None),
        ("[", None),
        (":", None),
        ("," * 5000, None),
        ("\u0661.\u0662.\u0663.\u0664", None),
    ],
)
def test_addresses_in_any_notation(text: str, address: str | None) -> None:
    """The first public address of a text is returned, without ports and brackets; other texts give None."""
    assert parse_public_address(text) == (ip_address(address) if address else None)
