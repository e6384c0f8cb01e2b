from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.verdict import Act, Touch, Verdict, judge

DELIVERED = datetime(2026, 3, 2, 9, tzinfo=UTC)
PERSON: dict[str, Any] = {
    "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0 Safari/537.36",
    "ip": "102.65.1.1",
}


def touch(act: Act = "opened", after: float = 3600, **data: object) -> Touch:
    """An open or a click so many seconds after the delivery."""
    return Touch.read(act, DELIVERED + timedelta(seconds=after), data)


def click(after: float, link: str) -> Touch:
    """A person's click on a link, so many seconds after the delivery."""
    return touch("clicked", after, link_url=link, **PERSON)


def rules(*touches: Touch, delivered_at: datetime | None = DELIVERED) -> list[str]:
    """The rules by which touches of one message were judged."""
    return [verdict.rule for verdict in judge(touches, delivered_at)]


@pytest.mark.parametrize(
    ("one", "by", "rule"),
    [
        (touch(), "human", "default/2"),
        (touch(**PERSON), "human", "default/2"),
        (touch(ip="41.74.193.1"), "machine", "scanner-network/1"),
        (touch("clicked", ip="41.74.193.1"), "machine", "scanner-network/1"),
        (touch(user_agent="Mimecast"), "machine", "scanner-agent/2"),
        (touch(ip="17.58.0.1"), "machine", "prefetch/1"),
        (touch("clicked", ip="17.58.0.1"), "human", "default/2"),
        (touch(user_agent="Mozilla/5.0"), "machine", "prefetch/1"),
        (touch("clicked", user_agent="Mozilla/5.0"), "human", "default/2"),
        (touch(after=4), "machine", "too-soon/2"),
        (touch("clicked", after=0), "machine", "too-soon/2"),
        (touch(after=-30), "machine", "too-soon/2"),
        (touch(after=5), "human", "default/2"),
        (touch(after=1, ip="17.58.0.1"), "machine", "prefetch/1"),
    ],
)
def test_one_touch(one: Touch, by: str, rule: str) -> None:
    """Each rule takes what it is for and nothing else, and of several the first is named."""
    assert [(verdict.by, verdict.rule) for verdict in judge([one], DELIVERED)] == [(by, rule)]


def test_without_a_delivery_nothing_is_too_soon() -> None:
    """Where nobody told of a delivery, only the touch itself can speak against it."""
    assert rules(touch(after=0), delivered_at=None) == ["default/2"]


def test_two_links_at_once_are_a_machines() -> None:
    """Different links within three seconds are a machine's, all of them, also those that only touch each other."""
    chain = [click(100 + 3 * number, f"https://x.test/{number}") for number in range(5)]
    assert rules(*chain) == ["links-at-once/1"] * 5


def test_a_link_clicked_twice_is_a_persons() -> None:
    """The same link twice in a second is a double click, and two links a few seconds apart are a reader's."""
    assert rules(click(100, "a"), click(100, "a"), click(104, "b")) == ["default/2"] * 3


def test_all_clicks_near_another_link_are_a_machines() -> None:
    """A link clicked again shortly before another one is part of it, too; a click long after is not."""
    clicks = [click(100, "a"), click(102, "a"), click(103, "b"), click(900, "a")]
    assert rules(*clicks) == ["links-at-once/1"] * 3 + ["default/2"]


def test_clicks_without_a_link_and_opens_are_not_links() -> None:
    """What names no link is no different link, and an open is none."""
    other = touch(after=101, link_url="c", **PERSON)
    assert rules(click(100, "a"), touch("clicked", 101, **PERSON), other) == ["default/2"] * 3


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
def test_fields_by_any_name(data: dict[str, Any]) -> None:
    """Program and address are found by the names they may have, also one level deeper."""
    (verdict,) = judge([touch(**data)], DELIVERED)
    assert verdict.by == "machine"


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["ip", "client_ip", "user_agent", "browser", "link_url", "url"]) | st.text()


@given(st.dictionaries(names, junk), st.sampled_from(["opened", "clicked"]))
def test_junk_is_judged(data: dict[str, Any], act: Act) -> None:
    """Whatever the fields hold, there is a verdict and no error."""
    assert len(judge([touch(act, **data)] * 2, DELIVERED)) == 2


touches = st.builds(
    touch,
    st.sampled_from(["opened", "clicked"]),
    st.integers(-5, 30),
    link_url=st.sampled_from(["a", "b", "c", ""]),
    ip=st.sampled_from(["102.65.1.1", "41.74.193.1", "17.1.1.1", "junk"]),
    user_agent=st.sampled_from([PERSON["user_agent"], "curl/8", "Mozilla/5.0", ""]),
)


@given(st.lists(touches, max_size=12), st.data())
def test_the_order_does_not_matter(all_: list[Touch], data: st.DataObject) -> None:
    """In whatever order touches are named, each gets the same verdict."""
    order = data.draw(st.permutations(range(len(all_))))
    verdicts = judge(all_, DELIVERED)
    assert judge([all_[index] for index in order], DELIVERED) == [verdicts[index] for index in order]


@given(st.lists(touches, max_size=12))
def test_clicks_are_compared_with_all_others(all_: list[Touch]) -> None:
    """Who clicks at once is whoever has another link within three seconds, told one by one."""
    people = [Touch(one.act, one.at, one.link) for one in all_]

    def is_at_once(one: Touch) -> bool:
        near = [other for other in people if abs(other.at - one.at) <= timedelta(seconds=3)]
        return one.link is not None and any(other.link not in {None, one.link} for other in near)

    expected = [
        Verdict("machine", "links-at-once/1") if is_at_once(one) else Verdict("human", "default/2") for one in people
    ]
    assert judge(people, None) == expected
