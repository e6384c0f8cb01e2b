"""Networks and user agents of mail security scanners and image prefetchers, which open and click without a person.

The networks are those that the vendors publish for firewalls and in SPF records: Microsoft's at endpoints.office.com
(Exchange Online, id 10), Barracuda's, Mimecast's and Proofpoint's on their help pages, Symantec's (MessageLabs) in the
SPF records of its customers. Mimecast and Symantec have some in South Africa. The lists grow and change; the timing
rules in `verdict.py` catch scanners that are missing here.
"""

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_SCANNERS = (
    # Proofpoint
    *("62.209.50.0/23", "66.159.224.0/19", "67.231.144.0/20", "91.207.212.0/23", "91.209.104.0/24"),
    *("148.163.128.0/19", "185.132.180.0/22", "185.183.28.0/22", "205.220.160.0/19", "208.84.64.0/22"),
    "208.86.200.0/22",
    # Mimecast: South Africa
    *("41.74.192.0/22", "41.74.196.0/22", "41.74.200.0/23", "41.74.204.0/23", "41.74.206.0/24"),
    # Mimecast: Europe, North America, Australia
    *("51.163.158.0/23", "62.140.7.0/24", "91.220.42.0/24", "146.101.78.0/24", "185.58.85.0/24", "185.58.86.0/24"),
    *("194.104.108.0/22", "195.130.217.0/24", "207.82.80.0/24"),
    *("63.128.21.0/24", "170.10.128.0/22", "170.10.132.0/23", "205.139.110.0/23", "207.211.30.0/24"),
    *("207.211.31.0/25", "216.205.24.0/24"),
    *("103.13.69.0/24", "103.96.20.0/22", "124.47.150.0/24", "124.47.189.0/24", "180.189.28.0/24"),
    # Barracuda
    *("64.235.144.0/20", "209.222.80.0/21"),
    # Microsoft: Exchange Online Protection, Defender
    *("40.92.0.0/15", "40.107.0.0/16", "52.100.0.0/14", "104.47.0.0/17"),
    *("2a01:111:f400::/48", "2a01:111:f403::/48"),
    # Symantec, formerly MessageLabs; 196.14.170.0/23 is in South Africa
    *("46.226.48.0/21", "67.219.240.0/20", "85.158.136.0/21", "95.131.104.0/21", "103.9.96.0/22", "117.120.16.0/21"),
    *("193.109.254.0/23", "194.106.220.0/23", "195.245.230.0/23", "196.14.170.0/23", "216.82.240.0/20"),
)

_PREFETCHERS = ("17.0.0.0/8", "2620:149::/32")
"""Apple's networks: Mail Privacy Protection loads every image of every mail, read or not."""

_SCANNER_AGENT = re.compile(
    r"""
    (?<![a-z])(?:                       # product names
        barracuda | bitdefender | cisco-?\s?secure-?\s?email | fireeye | forcepoint | fortimail | hornetsecurity
      | ironport | mailmarshal | messagelabs | mimecast | proofpoint | safelinks | sophos | spamtitan | symantec
      | trend\s?micro | urldefense | virustotal )
  | (?<!cu)bots?(?![a-z])               # Googlebot, bot/1.0; not robotics, not Cubot phones
  | (?:crawler|spider|scanner|linkcheck(?:er)?)(?![a-z])
  | (?<![a-z])(?:url|mail|link|web)scan
  | (?<![a-z])(?:aiohttp|apache-httpclient|axios|curl|go-http-client|guzzlehttp|headlesschrome|httpx|java
      |libwww-perl|node-fetch|phantomjs|puppeteer|python-requests|python-urllib|python-httpx|selenium|wget)(?:/|$)
  | bingpreview | facebookexternalhit
    """,
    re.VERBOSE,
)

_PREFETCHING_AGENT = re.compile(
    r"""
    ^mozilla/5\.0$                                    # Apple's Mail Privacy Protection
  | chrome/42\.0\.2311\.135\ .*edge/12\.246\ mozilla  # Gmail, before it shows a list (bird.com)
    """,
    re.VERBOSE,
)
MAX_LENGTH = 2000
"""How many characters of a user agent or an address field are read."""

_Prefixes = Mapping[tuple[int, int], frozenset[int]]


def _prefixes(networks: Iterable[str]) -> _Prefixes:
    """Return networks by IP version and prefix length, so that a lookup takes one step per prefix length."""
    prefixes: dict[tuple[int, int], set[int]] = {}
    for text in networks:
        network = ip_network(text)
        bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
        prefixes.setdefault((network.version, network.prefixlen), set()).add(bits)
    return {key: frozenset(bits) for key, bits in prefixes.items()}


_SCANNER_NETWORKS, _PREFETCHING_NETWORKS = _prefixes(_SCANNERS), _prefixes(_PREFETCHERS)


def is_scanner_network(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address belongs to a mail security scanner."""
    return _is_in(address, _SCANNER_NETWORKS)


def is_prefetching_network(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address belongs to a service that loads images before the recipient reads the mail."""
    return _is_in(address, _PREFETCHING_NETWORKS)


def is_scanner_agent(user_agent: str) -> bool:
    """Return whether a user agent identifies itself as a scanner, a bot or an HTTP library.

    The image proxies of mailbox providers (GoogleImageProxy, YahooMailProxy) are not scanners: they load an image when
    a person opens the mail.
    """
    return _SCANNER_AGENT.search(user_agent[:MAX_LENGTH].lower()) is not None


def is_prefetching_agent(user_agent: str) -> bool:
    """Return whether a user agent is known to load images before the recipient reads the mail."""
    return _PREFETCHING_AGENT.search(user_agent[:MAX_LENGTH].strip().lower()) is not None


def parse_public_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the first public IP address in a text: an address, perhaps with port or brackets, or a list of proxies."""
    for part in text[:MAX_LENGTH].split(","):
        address = _address(part.strip().strip('"'))
        if address is not None and address.is_global:
            return address
    return None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_in(address: IPv4Address | IPv6Address, networks: _Prefixes) -> bool:
    value, length = int(address), address.max_prefixlen
    return any(
        version == address.version and value >> (length - prefix) in bits
        for (version, prefix), bits in networks.items()
    )
