"""Verdicts on what has been stored, as more of a message becomes known."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.delivery.events.worlds import Provider, polled, pushed
from tests.business_clock import BUSINESS_NOW

pytestmark = pytest.mark.anyio

AGENTS = {"user_agent": "Mozilla/5.0 (X11) Firefox/126.0", "ip": "102.65.1.1"}


async def test_a_late_delivery_changes_a_verdict(provider: Provider) -> None:
    """An open that was a person's turns out to have come with the delivery, as soon as that is heard of."""
    (draft_id,) = await provider.send()
    await provider.push(pushed("open", draft_id, 61), pushed("open", draft_id, 600, id_="2"))
    await provider.apply()
    assert await provider.rules(draft_id) == [("opened", 61, "default/2"), ("opened", 600, "default/2")]

    await provider.push(pushed("delivered", draft_id, 60))
    await provider.apply()
    assert await provider.rules(draft_id) == [("opened", 61, "too-soon/2"), ("opened", 600, "default/2")]


async def test_another_link_changes_a_verdict(provider: Provider) -> None:
    """A click that was a person's turns out to be one of several at once, when the others are heard of."""
    (draft_id,) = await provider.send()
    await provider.push(pushed("click", draft_id, 100, link_url="a"))
    await provider.apply()
    assert await provider.rules(draft_id) == [("clicked", 100, "default/2")]

    await provider.push(pushed("click", draft_id, 101, link_url="b"))
    await provider.apply()
    assert await provider.rules(draft_id) == [("clicked", 100, "links-at-once/1"), ("clicked", 101, "links-at-once/1")]


async def test_a_changed_verdict_comes_with_an_arrival(provider: Provider) -> None:
    """A message whose verdicts changed gets a new arrival time, also where a duplicate report adds to an open."""
    (draft_id,) = await provider.send()
    newest = "SELECT max(synced_at) FROM app.email_events WHERE draft_id = %s"
    await provider.push(pushed("open", draft_id, 600))
    await provider.apply()
    ((before,),) = await provider.ask(newest, [draft_id])

    await provider.poll(polled("opened", draft_id, 600, user_agent="Mimecast"))
    await provider.apply()

    ((after,),) = await provider.ask(newest, [draft_id])
    assert (await provider.rules(draft_id), after > before) == ([("opened", 600, "scanner-agent/2")], True)


async def test_a_twin_that_tells_nothing_new_changes_nothing(provider: Provider) -> None:
    """The same event by the other feed leaves the row as it is."""
    (draft_id,) = await provider.send()
    row = "SELECT xmin::text, e.* FROM app.email_events AS e WHERE draft_id = %s"
    await provider.push(pushed("open", draft_id, 600.5, **AGENTS))
    await provider.apply()
    before = await provider.ask(row, [draft_id])

    await provider.poll(polled("opened", draft_id, 600, **AGENTS))
    await provider.apply()

    assert await provider.ask(row, [draft_id]) == before
    assert len(before) == 1


async def test_twins_that_name_the_mail_differently(provider: Provider) -> None:
    """A push that knows only Everlytic's name of the mail, and the polled item that knows ours, are one event."""
    (draft_id,) = await provider.send()
    unnamed = pushed("open", None, 600, transaction_id=f"tx-{draft_id}")
    foreign = unnamed.replace(b'"transaction": {', b'"transaction": {"message_id": "rfc-id@mail.example", ')
    for body in (unnamed, foreign, unnamed.replace(b'"id": "1"', b'"id": "2"')):
        await provider.push(body)
        await provider.apply()
    await provider.poll(polled("opened", draft_id, 600))
    await provider.apply()

    assert [one["type"] for one in await provider.events(draft_id)] == ["opened"]


async def test_feeds_of_different_exactness(provider: Provider) -> None:
    """One feed tells parts of a second and the other does not: five seconds are five seconds by either."""
    drafts = await provider.send(2)
    for draft_id, is_pushed_first in zip(drafts, (True, False), strict=True):
        if is_pushed_first:
            await provider.push(pushed("delivered", draft_id, 0.7))
            await provider.apply()
        await provider.poll(polled("delivered", draft_id, 0), polled("opened", draft_id, 5))
        await provider.apply()
    assert [await provider.rules(draft_id) for draft_id in drafts] == [[("opened", 5, "default/2")]] * 2


async def test_what_was_erased_keeps_its_verdicts(provider: Provider) -> None:
    """Of an erased lead no program and no address is kept, not of late events either; what they proved stays."""
    (draft_id,) = await provider.send()
    await provider.push(pushed("open", draft_id, 600, user_agent="Mimecast"))
    await provider.apply()
    await provider.ask(f"UPDATE app.leads SET erased_at = {BUSINESS_NOW} RETURNING 1", [])
    await provider.ask("UPDATE app.email_events SET data = '{}' RETURNING 1", [])

    await provider.push(pushed("open", draft_id, 900, ip="41.74.193.1"))
    await provider.poll(polled("opened", draft_id, 600, user_agent="Mimecast"))
    await provider.apply()

    found = [(one["rule"], one["data"]) for one in await provider.events(draft_id)]
    assert found == [("scanner-agent/2", {}), ("scanner-network/1", {})]


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens to a mail, and what either feed tells of it beside its time; None where it is silent."""

    type: str
    second: int
    link: dict[str, str]
    push: dict[str, Any] | None
    poll: dict[str, Any] | None


evidence: st.SearchStrategy[dict[str, Any] | None] = (
    st.just({})
    | st.none()
    | st.fixed_dictionaries(
        {},
        optional={
            "user_agent": st.sampled_from(["Mimecast", "Mozilla/5.0", AGENTS["user_agent"]]),
            "ip": st.sampled_from(["41.74.193.1", "17.1.1.1", "102.65.1.1"]),
        },
    )
)


@st.composite
def happenings(draw: st.DrawFn) -> Happening:
    """A delivery, an open or a click, all of a few seconds, so that they have to do with each other."""
    type_ = draw(st.sampled_from(["delivered", "open", "click", "click"]))
    link = {"link_url": draw(st.sampled_from(["a", "b"]))} if type_ == "click" else {}
    return Happening(type_, draw(st.sampled_from([0, 3, 5, 600])), link, draw(evidence), draw(evidence))


Arrival = tuple[str, Happening, bool]
"""By which feed something is heard of, and whether it is applied before the next is."""


@st.composite
def two_orders(draw: st.DrawFn) -> list[list[Arrival]]:
    """The same happenings heard of twice, each time in an order and in batches of its own."""
    heard = [
        (feed, happening)
        for happening in draw(st.lists(happenings(), min_size=1, max_size=8))
        for feed, says in (("push", happening.push), ("poll", happening.poll))
        if says is not None
    ]
    return [
        [(feed, happening, draw(st.booleans())) for feed, happening in draw(st.permutations(heard))] for _ in range(2)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(orders=two_orders())
async def test_the_order_of_arrival_does_not_matter(provider: Provider, orders: list[list[Arrival]]) -> None:
    """However events come, in any order and batches, by one feed or both, a message ends with the same verdicts."""
    drafts = await provider.send(2)
    for draft_id, arrivals in zip(drafts, orders, strict=True):
        for feed, one, is_applied in arrivals:
            if feed == "push":
                await provider.push(pushed(one.type, draft_id, one.second + 0.7, **one.link, **(one.push or {})))
            else:
                await provider.poll(polled(one.type, draft_id, one.second, **one.link, **(one.poll or {})))
            if is_applied:
                await provider.apply()
        await provider.apply()

    first, second = [await provider.rules(draft_id) for draft_id in drafts]
    assert first == second
