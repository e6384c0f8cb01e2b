from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.verdict import Interaction, InteractionType, Verdict, classify_interactions

DELIVERED = datetime(2026, 3, 2, 9, tzinfo=UTC)
PERSON: dict[str, Any] = {
    "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0 Safari/537.36",
    "ip": "102.65.1.1",
}


def interact(type_: InteractionType = "opened", after: float = 3600, **data: object) -> Interaction:
    """Return an open or a click, `after` seconds after the delivery."""
    return Interaction.parse(type_, DELIVERED + timedelta(seconds=after), data)


def click(after: float, link: str) -> Interaction:
    """Return a person's click on a link, `after` seconds after the delivery."""
    return interact("clicked", after, link_url=link, **PERSON)


def rules(*interactions: Interaction, delivered_at: datetime | None = DELIVERED) -> list[str]:
    """Return the rules that classified interactions of one message."""
    return [verdict.rule for verdict in classify_interactions(interactions, delivered_at)]


@pytest.mark.parametrize(
    ("interaction", "by", "rule"),
    [
        (interact(), "human", "default/2"),
        (interact(**PERSON), "human", "default/2"),
        (interact(ip="41.74.193.1"), "machine", "scanner-network/1"),
        (interact("clicked", ip="41.74.193.1"), "machine", "scanner-network/1"),
        (interact(user_agent="Mimecast"), "machine", "scanner-agent/2"),
        (interact(ip="17.58.0.1"), "machine", "prefetch/1"),
        (interact("clicked", ip="17.58.0.1"), "human", "default/2"),
        (interact(user_agent="Mozilla/5.0"), "machine", "prefetch/1"),
        (interact("clicked", user_agent="Mozilla/5.0"), "human", "default/2"),
        (interact(after=4), "machine", "too-soon/2"),
        (interact("clicked", after=0), "machine", "too-soon/2"),
        (interact(after=-30), "machine", "too-soon/2"),
        (interact(after=5), "human", "default/2"),
        (interact(after=1, ip="17.58.0.1"), "machine", "prefetch/1"),
    ],
)
def test_a_single_interaction(interaction: Interaction, by: str, rule: str) -> None:
    """Each rule classifies its own case only, and when several apply the first one is named."""
    assert [(verdict.by, verdict.rule) for verdict in classify_interactions([interaction], DELIVERED)] == [(by, rule)]


def test_without_a_delivery_time_nothing_is_too_soon() -> None:
    """Without a known delivery the time rule does not apply."""
    assert rules(interact(after=0), delivered_at=None) == ["default/2"]


def test_rapid_clicks_on_different_links_are_a_machines() -> None:
    """Clicks on different links within three seconds of each other are all a machine's, also in a chain."""
    chain = [click(100 + 3 * number, f"https://x.test/{number}") for number in range(5)]
    assert rules(*chain) == ["links-at-once/1"] * 5


def test_a_double_click_is_a_persons() -> None:
    """The same link twice in a second is human, and so are two links a few seconds apart."""
    assert rules(click(100, "a"), click(100, "a"), click(104, "b")) == ["default/2"] * 3


def test_all_clicks_near_another_link_are_a_machines() -> None:
    """Every click within three seconds of a click on another link is a machine's; a click long after is not."""
    clicks = [click(100, "a"), click(102, "a"), click(103, "b"), click(900, "a")]
    assert rules(*clicks) == ["links-at-once/1"] * 3 + ["default/2"]


def test_only_clicks_with_a_link_are_compared() -> None:
    """A click without a link and an open do not count as a click on another link."""
    other = interact(after=101, link_url="c", **PERSON)
    assert rules(click(100, "a"), interact("clicked", 101, **PERSON), other) == ["default/2"] * 3


@pytest.mark.parametrize(
    "data",
    [
        {"user_agent": "Mimecast"},
        {"userAgent": "Mimecast"},
        {"useragent": "Mimecast"},
        {"User-Agent": "Mimecast"},
        {"browser": "Mimecast"},
        {"client": {"user_agent": "Mimecast"}},
        {"ip": "41.74.193.1"},
        {"ip_address": "41.74.193.1"},
        {"ipAddress": "41.74.193.1"},
        {"client_ip": "41.74.193.1, 10.0.0.1"},
        {"geo": {"country": "ZA", "IP": "41.74.193.1:55"}},
        {"ip": "unknown", "remote_addr": "41.74.193.1"},
    ],
)
def test_fields_are_found_under_any_plausible_name(data: dict[str, Any]) -> None:
    """User agent and address are found under several names, also one level deeper."""
    (verdict,) = classify_interactions([interact(**data)], DELIVERED)
    assert verdict.by == "machine"


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["ip", "client_ip", "user_agent", "browser", "link_url", "url"]) | st.text()


@given(st.dictionaries(names, junk), st.sampled_from(["opened", "clicked"]))
def test_any_fields_can_be_classified(data: dict[str, Any], type_: InteractionType) -> None:
    """Fields of any type and value give a verdict and no error."""
    assert len(classify_interactions([interact(type_, **data)] * 2, DELIVERED)) == 2


interactions = st.builds(
    interact,
    st.sampled_from(["opened", "clicked"]),
    st.integers(-5, 30),
    link_url=st.sampled_from(["a", "b", "c", ""]),
    ip=st.sampled_from(["102.65.1.1", "41.74.193.1", "17.1.1.1", "junk"]),
    user_agent=st.sampled_from([PERSON["user_agent"], "curl/8", "Mozilla/5.0", ""]),
)


@given(st.lists(interactions, max_size=12), st.data())
def test_the_order_does_not_matter(given_order: list[Interaction], data: st.DataObject) -> None:
    """Each interaction gets the same verdict in any order of the list."""
    order = data.draw(st.permutations(range(len(given_order))))
    verdicts = classify_interactions(given_order, DELIVERED)
    assert classify_interactions([given_order[index] for index in order], DELIVERED) == [
        verdicts[index] for index in order
    ]


@given(st.lists(interactions, max_size=12))
def test_each_click_is_compared_with_all_others(generated: list[Interaction]) -> None:
    """A click is a machine's exactly when a click on another link lies within three seconds of it."""
    anonymous = [Interaction(interaction.type, interaction.at, interaction.link) for interaction in generated]

    def is_rapid(click: Interaction) -> bool:
        near = [other for other in anonymous if abs(other.at - click.at) <= timedelta(seconds=3)]
        return click.link is not None and any(other.link not in {None, click.link} for other in near)

    machine, human = Verdict("machine", "links-at-once/1"), Verdict("human", "default/2")
    expected = [machine if is_rapid(interaction) else human for interaction in anonymous]
    assert classify_interactions(anonymous, None) == expected
