"""Was it a person who opened or clicked? Rules over all that is known of one message, each with a name and a version.

A message is judged as a whole and anew whenever more of it is known: what arrives late may change what was said of
what came before. The verdicts depend on what happened and not on the order in which it was heard.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, TypeAlias

from domain import scanners

TOO_SOON = timedelta(seconds=5)
"""No person opens or clicks within this time of delivery, or before it."""
AT_ONCE = timedelta(seconds=3)
"""No person clicks two different links within this time of each other."""

Act: TypeAlias = Literal["opened", "clicked"]


@dataclass(frozen=True, slots=True)
class Touch:
    """An open of a message, or a click in it: when, on which link, and with what from where as far as that was told."""

    act: Act
    at: datetime
    link: str | None = None
    user_agent: str | None = None
    address: IPv4Address | IPv6Address | None = None

    @classmethod
    def read(cls, act: Act, at: datetime, data: Mapping[str, Any]) -> "Touch":
        """Return the touch that the provider's fields tell of; what is not documented is looked for by plausible names.

        Nothing is an error: a field that means nothing says nothing.
        """
        fields = _fields(data)
        link = _first(fields, _LINK) if act == "clicked" else None
        given = (fields[name] for name in _ADDRESS if name in fields)
        addresses = (address for text in given if (address := scanners.read_address(text)) is not None)
        return cls(act, at, link, _first(fields, _USER_AGENT), next(addresses, None))


_LINK = ("linkurl", "url", "link", "clickedurl", "href")
_USER_AGENT = ("useragent", "ua", "agent", "browser")
_ADDRESS = ("ip", "ipaddress", "ipaddr", "clientip", "clientipaddress", "remoteip", "remoteaddr", "sourceip")
"""Names of fields, best first, as `_fields` spells them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who did it, and the rule that says so, with the rule's version."""

    by: Literal["human", "machine"]
    rule: str


HUMAN = Verdict("human", "default/2")
_NETWORK = Verdict("machine", "scanner-network/1")
_AGENT = Verdict("machine", "scanner-agent/2")
_PREFETCH = Verdict("machine", "prefetch/1")
_TOO_SOON = Verdict("machine", "too-soon/2")
_AT_ONCE = Verdict("machine", "links-at-once/1")


def judge(touches: Sequence[Touch], delivered_at: datetime | None) -> list[Verdict]:
    """Return the verdict on each of all opens and clicks of one message, which was first delivered at a time if known.

    Of several rules that apply the first is named: what the touch says of itself, then the delivery, then the others.
    """
    hurried = _clicked_at_once(touches)
    return [
        _alone(touch, delivered_at) or (_AT_ONCE if index in hurried else HUMAN) for index, touch in enumerate(touches)
    ]


def _alone(touch: Touch, delivered_at: datetime | None) -> Verdict | None:
    address, agent = touch.address, touch.user_agent
    if address is not None and scanners.is_scanner_network(address):
        return _NETWORK
    if agent is not None and scanners.is_scanner_agent(agent):
        return _AGENT
    if touch.act == "opened" and (
        (address is not None and scanners.is_prefetching_network(address))
        or (agent is not None and scanners.is_prefetching_agent(agent))
    ):
        return _PREFETCH
    if delivered_at is not None and touch.at - delivered_at < TOO_SOON:
        return _TOO_SOON
    return None


def _clicked_at_once(touches: Sequence[Touch]) -> set[int]:
    """Return which touches are clicks that have a click on another link of the message close by, before or after."""
    clicks = sorted((touch.at, index, touch.link) for index, touch in enumerate(touches) if touch.link is not None)
    found: set[int] = set()
    near: Counter[str] = Counter()
    first = after = 0
    for at, index, _ in clicks:
        while after < len(clicks) and clicks[after][0] - at <= AT_ONCE:
            near[clicks[after][2]] += 1
            after += 1
        while at - clicks[first][0] > AT_ONCE:
            gone = clicks[first][2]
            near[gone] -= 1
            if not near[gone]:
                del near[gone]
            first += 1
        if len(near) > 1:
            found.add(index)
    return found


def _fields(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts in `data`, and one level deeper, by their names in lower case without `_` and `-`.

    In the order of their names, not in the order they came in: stored fields lose that.
    """
    found: dict[str, str] = {}
    items = sorted(data.items())
    for _, inner in items:
        if isinstance(inner, dict):
            found.update(_fields({name: value for name, value in inner.items() if isinstance(value, str)}))
    for name, value in items:
        if isinstance(value, str) and value.strip():
            found[name.lower().replace("_", "").replace("-", "")] = value
    return found


def _first(fields: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((fields[name] for name in names if name in fields), None)
