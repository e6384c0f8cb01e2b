"""Tests that simulated recipients are repeatable, and on average as described."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from everlytic.sandbox import recipients
from everlytic.sandbox.recipients import Reaction, get_recipient, plan_reactions

LINKS = ["https://x.test/a", "https://x.test/b"]


def plan_all(count: int = 3000) -> dict[str, list[Reaction]]:
    """Return the reactions of many recipients to three mails each."""
    return {
        address: [
            reaction
            for number in (1, 2, 3)
            for reaction in plan_reactions(7, address, number, links=LINKS, one_click=True)
        ]
        for address in (f"p{n}@d{n % 200}.example" for n in range(count))
    }


@given(st.integers(0, 99), st.emails(), st.integers(1, 5))
def test_reactions_are_repeatable(seed: int, address: str, number: int) -> None:
    """Reactions depend only on the seed, the address (in any case) and the mail number."""
    first = plan_reactions(seed, address, number, links=LINKS, complaints=True)
    assert first == plan_reactions(seed, address, number, links=LINKS, complaints=True)
    assert get_recipient(seed, address.lower()) == get_recipient(seed, address.lower().swapcase().lower())


@given(st.integers(0, 9), st.emails(), st.integers(1, 4))
def test_reactions_are_in_a_possible_order(seed: int, address: str, number: int) -> None:
    """Sent comes first, nothing follows a bounce, everything else follows delivered, all within 72 hours."""
    plan = plan_reactions(seed, address, number, links=LINKS, one_click=True, complaints=True)
    kinds = [reaction.kind for reaction in plan]
    assert kinds[0] == "sent"
    assert kinds.count("sent") == 1
    assert "bounce" not in kinds[:-1]
    if kinds[-1] != "bounce":
        assert kinds[1] == "delivered"
    delays = [reaction.delay for reaction in plan]
    assert delays == sorted(delays)
    assert delays[-1] <= recipients.MAX_DELAY + 10
    seconds = [(reaction.kind, reaction.data.get("link_url"), int(reaction.delay)) for reaction in plan]
    assert len(set(seconds)) == len(seconds)


def test_a_hard_bouncing_address_always_bounces() -> None:
    """An address that bounces hard does so on every mail and has no other reactions."""
    dead = next(f"p{n}@x.example" for n in range(999) if get_recipient(7, f"p{n}@x.example").bounces)
    for number in range(1, 6):
        assert [reaction.kind for reaction in plan_reactions(7, dead, number, links=LINKS)] == ["sent", "bounce"]


def test_shares_are_as_described() -> None:
    """Over many recipients the shares of bounces, replies and unsubscribes are near the documented ones."""
    plans = plan_all()
    counts = Counter(kind for plan in plans.values() for kind in {reaction.kind for reaction in plan})
    total = len(plans)
    hard = sum(any(reaction.data.get("bounce_type") == "hard" for reaction in plan) for plan in plans.values())
    assert 0.02 < hard / total < 0.04
    assert 0.045 < counts["reply"] / total < 0.07
    assert 0.012 < (counts["unsubscribe"] + counts["one_click"]) / total < 0.026
    assert 0.5 < counts["open"] / total < 0.9
    assert counts["complaint"] == 0
    reactions = [reaction for plan in plans.values() for reaction in plan]
    kinds = {reaction.data["reply_kind"] for reaction in reactions if reaction.kind == "reply"}
    assert kinds == set(recipients.REPLY_KINDS)


def test_scanners_open_within_seconds() -> None:
    """Some domains open by machine within seconds of the delivery."""
    quick = set()
    for address, plan in plan_all(1500).items():
        delivered = {reaction.delay for reaction in plan if reaction.kind == "delivered"}
        machine_delays = [reaction.delay for reaction in plan if reaction.data.get("machine")]
        if any(min(abs(delay - at) for at in delivered) < 12 for delay in machine_delays):
            quick.add(address.rpartition("@")[2])
    assert 10 < len(quick) < 50


def test_untracked_mails_show_no_opens_or_clicks() -> None:
    """Without tracking there are no opens and clicks, but still replies and unsubscribes."""
    plans = [plan_reactions(7, f"p{n}@x{n}.example", 1, opens=False) for n in range(2000)]
    kinds = {reaction.kind for plan in plans for reaction in plan}
    assert kinds == {"sent", "delivered", "bounce", "reply", "unsubscribe"}
