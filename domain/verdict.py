"""Classifies opens and clicks as human or machine, by rules that each have a name and a version.

All interactions with a message are classified together, and again whenever a new one arrives: a late event can change
earlier verdicts. The verdicts do not depend on the order in which events arrive.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal, TypeAlias

from domain import scanners

MIN_HUMAN_DELAY = timedelta(seconds=5)
"""An open or click sooner after the delivery, or before it, is a machine's."""
MIN_CLICK_INTERVAL = timedelta(seconds=3)
"""Clicks on two different links within this time of each other are a machine's."""

InteractionType: TypeAlias = Literal["opened", "clicked"]


@dataclass(frozen=True, slots=True)
class Interaction:
    """An open of a message or a click in it; the link, user agent and address are None where unknown."""

    type: InteractionType
    at: datetime
    link: str | None = None
    user_agent: str | None = None
    address: IPv4Address | IPv6Address | None = None

    @classmethod
    def parse(cls, type_: InteractionType, at: datetime, data: Mapping[str, Any]) -> "Interaction":
        """Return the interaction described by the provider's fields.

        Their names are not documented, so several plausible names are tried. Fields that cannot be read are ignored.
        """
        fields = _fields(data)
        link = _first(fields, _LINK) if type_ == "clicked" else None
        texts = (fields[name] for name in _ADDRESS if name in fields)
        addresses = (address for text in texts if (address := scanners.parse_public_address(text)) is not None)
        return cls(type_, at, link, _first(fields, _USER_AGENT), next(addresses, None))


_LINK = ("linkurl", "url", "link", "clickedurl", "href")
_USER_AGENT = ("useragent", "ua", "agent", "browser")
_ADDRESS = ("ip", "ipaddress", "ipaddr", "clientip", "clientipaddress", "remoteip", "remoteaddr", "sourceip")
"""Field names in order of preference, as `_fields` normalises them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The classification of an interaction, and the rule with its version that made it."""

    by: Literal["human", "machine"]
    rule: str


HUMAN = Verdict("human", "default/2")
_NETWORK = Verdict("machine", "scanner-network/1")
_AGENT = Verdict("machine", "scanner-agent/2")
_PREFETCH = Verdict("machine", "prefetch/1")
_TOO_SOON = Verdict("machine", "too-soon/2")
_AT_ONCE = Verdict("machine", "links-at-once/1")


def classify_interactions(interactions: Sequence[Interaction], delivered_at: datetime | None) -> list[Verdict]:
    """Return the verdict on each of all interactions with one message; `delivered_at` is its first delivery, if known.

    When several rules apply, the first one is named: network, user agent, prefetch, time since delivery, other clicks.
    """
    rapid_clicks = _find_rapid_clicks(interactions)
    return [
        _classify_alone(interaction, delivered_at) or (_AT_ONCE if index in rapid_clicks else HUMAN)
        for index, interaction in enumerate(interactions)
    ]


def _classify_alone(interaction: Interaction, delivered_at: datetime | None) -> Verdict | None:
    address, agent = interaction.address, interaction.user_agent
    if address is not None and scanners.is_scanner_network(address):
        return _NETWORK
    if agent is not None and scanners.is_scanner_agent(agent):
        return _AGENT
    if interaction.type == "opened" and (
        (address is not None and scanners.is_prefetching_network(address))
        or (agent is not None and scanners.is_prefetching_agent(agent))
    ):
        return _PREFETCH
    if delivered_at is not None and interaction.at - delivered_at < MIN_HUMAN_DELAY:
        return _TOO_SOON
    return None


def _find_rapid_clicks(interactions: Sequence[Interaction]) -> set[int]:
    """Return the indexes of clicks with a click on another link within MIN_CLICK_INTERVAL, before or after."""
    clicks = sorted(
        (interaction.at, index, interaction.link)
        for index, interaction in enumerate(interactions)
        if interaction.link is not None
    )
    rapid: set[int] = set()
    # A sliding window counts the links that are clicked near each click.
    nearby_links: Counter[str] = Counter()
    first = end = 0
    for at, index, _ in clicks:
        while end < len(clicks) and clicks[end][0] - at <= MIN_CLICK_INTERVAL:
            nearby_links[clicks[end][2]] += 1
            end += 1
        while at - clicks[first][0] > MIN_CLICK_INTERVAL:
            left = clicks[first][2]
            nearby_links[left] -= 1
            if not nearby_links[left]:
                del nearby_links[left]
            first += 1
        if len(nearby_links) > 1:
            rapid.add(index)
    return rapid


def _fields(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts in `data`, and one level deeper, by their names in lower case without `_` and `-`.

    The fields are sorted by name, because stored JSON does not keep their order.
    """
    fields: dict[str, str] = {}
    items = sorted(data.items())
    for _, inner in items:
        if isinstance(inner, dict):
            fields.update(_fields({name: value for name, value in inner.items() if isinstance(value, str)}))
    for name, value in items:
        if isinstance(value, str) and value.strip():
            fields[name.lower().replace("_", "").replace("-", "")] = value
    return fields


def _first(fields: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((fields[name] for name in names if name in fields), None)
