"""How recipients behave: a seeded model of who bounces, opens, clicks, replies and unsubscribes, and when.

Everything is a pure function of (seed, address, number of the mail to that address), never of arrival order, so two
runs with one seed agree. Shares, measured over addresses: 3 % always bounce hard; 2 % of mails bounce softly; 6 % of
people reply to some mail; 2 % unsubscribe from some mail; 0.4 % complain where that is switched on. Domains with a
scanner (one in eight) open and sometimes click within seconds. Nothing happens later than 72 hours after a mail.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from everlytic.sandbox.scenarios import chance

MINUTE, HOUR = 60.0, 3600.0
LATEST = 72 * HOUR

HARD_BOUNCE, SOFT_BOUNCE, LATE_BOUNCE = 0.03, 0.02, 0.002
REPLY, UNSUBSCRIBE, COMPLAIN, SCANNER = 0.06, 0.02, 0.004, 0.125

REPLY_KINDS: dict[str, float] = {
    "interested": 0.26,
    "not_interested": 0.24,
    "question": 0.2,
    "remove_me": 0.12,
    "out_of_office": 0.18,
}

ON_MAIL: dict[str, float] = {"1": 0.5, "2": 0.3, "3": 0.2}
"""On which mail somebody who replies, unsubscribes or complains does so."""

CLICK, SCANNER_CLICKS, ONE_CLICK = 0.25, 0.4, 0.5
"""Of those who open, who click; of scanners, which follow links; of those who leave, who use the one-click button."""

_HARD_REASONS = ("user-unknown", "domain-not-found", "mailbox-disabled")
_SOFT_REASONS = ("mailbox-full", "policy-related", "greylisted", "connection-timeout")
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
)
_SCANNER_AGENTS = ("Mozilla/5.0 (compatible; MailGateScanner/4.2)", "python-requests/2.32 LinkGuard")


@dataclass(frozen=True, slots=True)
class Person:
    """What somebody is like, whichever mail comes. ``…_at`` is the number of the mail it happens on, None for never."""

    bounces: bool
    interest: float
    scanned: bool
    reply_at: int | None
    reply_kind: str
    unsubscribe_at: int | None
    one_click: bool
    complain_at: int | None


@dataclass(frozen=True, slots=True)
class Reaction:
    """Something that happens ``delay`` seconds after a mail was accepted. ``kind`` is an event type, or ``reply``, or
    ``one_click`` (a POST to the mail's List-Unsubscribe address)."""

    delay: float
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


def person(seed: int, address: str) -> Person:
    """The person behind an address (any case)."""
    address = address.lower()
    domain = address.rpartition("@")[2]

    def roll(what: str) -> float:
        return chance(seed, what, address)

    def mail_number(what: str, share: float) -> int | None:
        if roll(what) >= share:
            return None
        return int(_pick(roll(f"{what} at"), ON_MAIL))

    return Person(
        bounces=roll("hard bounce") < HARD_BOUNCE,
        interest=(0.05, 0.3, 0.45, 0.8)[int(roll("interest") * 4)],
        scanned=chance(seed, "scanner", domain) < SCANNER,
        reply_at=mail_number("reply", REPLY),
        reply_kind=_pick(roll("reply kind"), REPLY_KINDS),
        unsubscribe_at=mail_number("unsubscribe", UNSUBSCRIBE),
        one_click=roll("one click") < ONE_CLICK,
        complain_at=mail_number("complain", COMPLAIN),
    )


def _pick(roll: float, shares: dict[str, float]) -> str:
    """The name on which a number in [0, 1) falls."""
    for name, share in shares.items():
        roll -= share
        if roll < 0:
            return name
    return next(reversed(shares))


def reactions(
    seed: int,
    address: str,
    number: int,
    *,
    opens: bool = True,
    links: Sequence[str] = (),
    one_click: bool = False,
    complaints: bool = False,
) -> list[Reaction]:
    """What follows from the ``number``-th mail (from 1) to ``address``, in order of time.

    ``opens`` and ``links`` say what can be seen of it (tracking on, links in the HTML); ``one_click`` that it offers
    one-click unsubscribing. The first reaction is always ``sent``.
    """
    who = person(seed, address)
    # Seeded on purpose: a run can be repeated exactly.
    rng = random.Random(f"{seed}:{address.lower()}:{number}")  # noqa: S311
    sent = rng.uniform(0.2, 3.0)
    plan = [Reaction(sent, "sent")]
    if who.bounces:
        reason = _HARD_REASONS[int(chance(seed, "reason", address.lower()) * len(_HARD_REASONS))]
        plan.append(Reaction(sent + rng.uniform(1, 40), "bounce", {"bounce_type": "hard", "bounce_reason": reason}))
        return plan
    if rng.random() < SOFT_BOUNCE:
        soft = {"bounce_type": "soft", "bounce_reason": rng.choice(_SOFT_REASONS)}
        plan.append(Reaction(sent + rng.uniform(5 * MINUTE, 6 * HOUR), "bounce", soft))
        return plan
    delivered = sent + rng.lognormvariate(1.5, 1.0)
    plan.append(Reaction(delivered, "delivered"))
    if rng.random() < LATE_BOUNCE:
        late = {"bounce_type": "soft", "bounce_reason": rng.choice(_SOFT_REASONS)}
        plan.append(Reaction(delivered + rng.uniform(MINUTE, HOUR), "bounce", late))
        return plan
    if who.scanned:
        plan += _scanner(rng, delivered, opens=opens, links=links)
    plan += _human(rng, who, number, delivered, opens=opens, links=links, one_click=one_click, complaints=complaints)
    return _spaced(plan)


def _scanner(rng: random.Random, delivered: float, *, opens: bool, links: Sequence[str]) -> list[Reaction]:
    agent = {"user_agent": rng.choice(_SCANNER_AGENTS), "ip": f"203.0.113.{rng.randrange(1, 255)}", "machine": True}
    at = delivered + rng.uniform(0.5, 8)
    plan = [Reaction(at, "open", agent)] if opens else []
    if rng.random() < SCANNER_CLICKS:
        plan += [Reaction(at + 1 + n * 0.2, "click", {**agent, "link_url": link}) for n, link in enumerate(links)]
    return plan


def _human(
    rng: random.Random,
    who: Person,
    number: int,
    delivered: float,
    *,
    opens: bool,
    links: Sequence[str],
    one_click: bool,
    complaints: bool,
) -> list[Reaction]:
    plan: list[Reaction] = []
    agent = {"user_agent": rng.choice(_AGENTS), "ip": f"198.51.100.{rng.randrange(1, 255)}"}
    replies, leaves = who.reply_at == number, who.unsubscribe_at == number
    complains = complaints and who.complain_at == number
    if replies and who.reply_kind == "out_of_office":
        plan.append(Reaction(delivered + rng.uniform(2, 90), "reply", {"reply_kind": who.reply_kind}))
        replies = False
    if not (replies or leaves or complains or rng.random() < who.interest):
        return plan
    read = delivered + min(rng.lognormvariate(8.6, 1.3), 40 * HOUR)
    if opens:
        plan.append(Reaction(read, "open", agent))
        again = rng.choices((0, 1, 2), (0.7, 0.2, 0.1))[0]
        plan += [Reaction(read + rng.uniform(MINUTE, 20 * HOUR), "open", agent) for _ in range(again)]
    if links and rng.random() < CLICK:
        plan.append(Reaction(read + rng.uniform(5, 90), "click", {**agent, "link_url": rng.choice(links)}))
    if replies:
        plan.append(Reaction(read + rng.uniform(2 * MINUTE, 10 * HOUR), "reply", {"reply_kind": who.reply_kind}))
    if leaves:
        kind = "one_click" if who.one_click and one_click else "unsubscribe"
        plan.append(Reaction(read + rng.uniform(10, 5 * MINUTE), kind))
    if complains:
        plan.append(Reaction(read + rng.uniform(10, HOUR), "complaint"))
    return plan


def _spaced(plan: list[Reaction]) -> list[Reaction]:
    """In order of time, within 72 hours, and two of a kind at least two seconds apart (feeds tell whole seconds)."""
    last: dict[tuple[str, str], float] = {}
    spaced = []
    for one in sorted(plan, key=lambda reaction: reaction.delay):
        key = (one.kind, one.data.get("link_url", ""))
        delay = max(min(one.delay, LATEST), last.get(key, -2.0) + 2.0)
        last[key] = delay
        spaced.append(Reaction(delay, one.kind, one.data))
    return sorted(spaced, key=lambda reaction: reaction.delay)
