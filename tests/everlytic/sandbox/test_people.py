"""The people are repeatable, and on average as described."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from everlytic.sandbox import people
from everlytic.sandbox.people import Reaction, person, reactions

LINKS = ["https://x.test/a", "https://x.test/b"]


def everyone(count: int = 3000) -> dict[str, list[Reaction]]:
    """The reactions of many people to three mails each."""
    return {
        address: [one for number in (1, 2, 3) for one in reactions(7, address, number, links=LINKS, one_click=True)]
        for address in (f"p{n}@d{n % 200}.example" for n in range(count))
    }


@given(st.integers(0, 99), st.emails(), st.integers(1, 5))
def test_the_same_person_does_the_same(seed: int, address: str, number: int) -> None:
    """Behaviour depends on seed, address (in any case) and mail number alone."""
    first = reactions(seed, address, number, links=LINKS, complaints=True)
    assert first == reactions(seed, address, number, links=LINKS, complaints=True)
    assert person(seed, address.lower()) == person(seed, address.lower().swapcase().lower())


@given(st.integers(0, 9), st.emails(), st.integers(1, 4))
def test_every_story_makes_sense(seed: int, address: str, number: int) -> None:
    """Sent comes first; nothing follows a bounce; all else follows delivery; all in order within 72 hours."""
    story = reactions(seed, address, number, links=LINKS, one_click=True, complaints=True)
    kinds = [one.kind for one in story]
    assert kinds[0] == "sent"
    assert kinds.count("sent") == 1
    assert "bounce" not in kinds[:-1]
    if kinds[-1] != "bounce":
        assert kinds[1] == "delivered"
    delays = [one.delay for one in story]
    assert delays == sorted(delays)
    assert delays[-1] <= people.LATEST + 10
    seconds = [(one.kind, one.data.get("link_url"), int(one.delay)) for one in story]
    assert len(set(seconds)) == len(seconds)


def test_who_bounces_hard_always_bounces() -> None:
    """A dead address bounces on every mail and never does anything else."""
    dead = next(f"p{n}@x.example" for n in range(999) if person(7, f"p{n}@x.example").bounces)
    for number in range(1, 6):
        assert [one.kind for one in reactions(7, dead, number, links=LINKS)] == ["sent", "bounce"]


def test_shares_are_as_described() -> None:
    """Over many people the shares of bounces, replies and unsubscribes are near what the module says."""
    stories = everyone()
    shares = Counter(kind for story in stories.values() for kind in {one.kind for one in story})
    total = len(stories)
    hard = sum(any(one.data.get("bounce_type") == "hard" for one in story) for story in stories.values())
    assert 0.02 < hard / total < 0.04
    assert 0.045 < shares["reply"] / total < 0.07
    assert 0.012 < (shares["unsubscribe"] + shares["one_click"]) / total < 0.026
    assert 0.5 < shares["open"] / total < 0.9
    assert shares["complaint"] == 0
    kinds = {one.data["reply_kind"] for story in stories.values() for one in story if one.kind == "reply"}
    assert kinds == set(people.REPLY_KINDS)


def test_scanners_open_within_seconds() -> None:
    """Some domains open by machine right after delivery, and only they do."""
    quick = set()
    for address, story in everyone(1500).items():
        delivered = {one.delay for one in story if one.kind == "delivered"}
        if any(one.data.get("machine") and min(abs(one.delay - at) for at in delivered) < 12 for one in story):
            quick.add(address.rpartition("@")[2])
    assert 10 < len(quick) < 50


def test_untracked_mails_show_no_opens_or_clicks() -> None:
    """Without tracking there is nothing to see, but people still reply and leave."""
    kinds = {one.kind for n in range(2000) for one in reactions(7, f"p{n}@x{n}.example", 1, opens=False)}
    assert kinds == {"sent", "delivered", "bounce", "reply", "unsubscribe"}
