"""Simulates the behaviour of recipients: a seeded model of bounces, opens, clicks, replies and unsubscribes.

Everything is a pure function of (seed, address, number of the mail to that address) and not of the order of arrival, so
two runs with the same seed agree. Of all addresses 3 % always bounce hard, 6 % reply to some mail, 2 % unsubscribe from
some mail, and 0.4 % complain if complaints are switched on. 2 % of mails bounce softly. Domains with a scanner (one in
eight) open and sometimes click within seconds. All reactions happen within 72 hours after a mail.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from everlytic.sandbox.scenarios import seeded_random

MINUTE, HOUR = 60.0, 3600.0
MAX_DELAY = 72 * HOUR

HARD_BOUNCE, SOFT_BOUNCE, LATE_BOUNCE = 0.03, 0.02, 0.002
REPLY, UNSUBSCRIBE, COMPLAIN, SCANNER = 0.06, 0.02, 0.004, 0.125

REPLY_KINDS: dict[str, float] = {
    "interested": 0.26,
    "not_interested": 0.24,
    "question": 0.2,
    "remove_me": 0.12,
    "out_of_office": 0.18,
}

MAIL_NUMBER_SHARES: dict[str, float] = {"1": 0.5, "2": 0.3, "3": 0.2}
"""The number of the mail to which a recipient replies, unsubscribes or complains, with its share."""

CLICK, SCANNER_CLICKS, ONE_CLICK = 0.25, 0.4, 0.5
"""The shares of openers who click, of scanners that follow links, and of unsubscribes that use one-click."""

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
class Recipient:
    """The fixed traits of a recipient; ``…_at`` is the number of the mail on which it happens, None for never."""

    bounces: bool
    interest: float
    has_scanner: bool
    reply_at: int | None
    reply_kind: str
    unsubscribe_at: int | None
    uses_one_click: bool
    complain_at: int | None


@dataclass(frozen=True, slots=True)
class Reaction:
    """An event ``delay`` seconds after a mail was accepted.

    ``kind`` is an event type, ``reply`` or ``one_click`` (a POST to the mail's List-Unsubscribe URL).
    """

    delay: float
    kind: str
    data: dict[str, Any] = field(default_factory=dict)


def get_recipient(seed: int, address: str) -> Recipient:
    """Return the recipient with an address; the case does not matter."""
    address = address.lower()
    domain = address.rpartition("@")[2]

    def draw(trait: str) -> float:
        return seeded_random(seed, trait, address)

    def draw_mail_number(trait: str, share: float) -> int | None:
        if draw(trait) >= share:
            return None
        return int(_pick(draw(f"{trait} at"), MAIL_NUMBER_SHARES))

    return Recipient(
        bounces=draw("hard bounce") < HARD_BOUNCE,
        interest=(0.05, 0.3, 0.45, 0.8)[int(draw("interest") * 4)],
        has_scanner=seeded_random(seed, "scanner", domain) < SCANNER,
        reply_at=draw_mail_number("reply", REPLY),
        reply_kind=_pick(draw("reply kind"), REPLY_KINDS),
        unsubscribe_at=draw_mail_number("unsubscribe", UNSUBSCRIBE),
        uses_one_click=draw("one click") < ONE_CLICK,
        complain_at=draw_mail_number("complain", COMPLAIN),
    )


def _pick(number: float, shares: dict[str, float]) -> str:
    """Return the name whose share contains a number in [0, 1)."""
    for name, share in shares.items():
        number -= share
        if number < 0:
            return name
    return next(reversed(shares))


def plan_reactions(
    seed: int,
    address: str,
    number: int,
    *,
    opens: bool = True,
    links: Sequence[str] = (),
    one_click: bool = False,
    complaints: bool = False,
) -> list[Reaction]:
    """Return the reactions to the ``number``-th mail (from 1) to ``address``, in order of time.

    ``opens`` and ``links`` are what tracking can observe; ``one_click`` says that the mail offers one-click
    unsubscribing. The first reaction is always ``sent``.
    """
    recipient = get_recipient(seed, address)
    # The generator is seeded so that a run can be repeated exactly.
    rng = random.Random(f"{seed}:{address.lower()}:{number}")  # noqa: S311
    sent = rng.uniform(0.2, 3.0)
    plan = [Reaction(sent, "sent")]
    if recipient.bounces:
        reason = _HARD_REASONS[int(seeded_random(seed, "reason", address.lower()) * len(_HARD_REASONS))]
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
    if recipient.has_scanner:
        plan += _plan_scanner(rng, delivered, opens=opens, links=links)
    plan += _plan_human(
        rng, recipient, number, delivered, opens=opens, links=links, one_click=one_click, complaints=complaints
    )
    return _space_out(plan)


def _plan_scanner(rng: random.Random, delivered: float, *, opens: bool, links: Sequence[str]) -> list[Reaction]:
    agent = {"user_agent": rng.choice(_SCANNER_AGENTS), "ip": f"203.0.113.{rng.randrange(1, 255)}", "machine": True}
    at = delivered + rng.uniform(0.5, 8)
    plan = [Reaction(at, "open", agent)] if opens else []
    if rng.random() < SCANNER_CLICKS:
        plan += [Reaction(at + 1 + n * 0.2, "click", {**agent, "link_url": link}) for n, link in enumerate(links)]
    return plan


def _plan_human(
    rng: random.Random,
    recipient: Recipient,
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
    replies, unsubscribes = recipient.reply_at == number, recipient.unsubscribe_at == number
    complains = complaints and recipient.complain_at == number
    if replies and recipient.reply_kind == "out_of_office":
        plan.append(Reaction(delivered + rng.uniform(2, 90), "reply", {"reply_kind": recipient.reply_kind}))
        replies = False
    if not (replies or unsubscribes or complains or rng.random() < recipient.interest):
        return plan
    read = delivered + min(rng.lognormvariate(8.6, 1.3), 40 * HOUR)
    if opens:
        plan.append(Reaction(read, "open", agent))
        repeats = rng.choices((0, 1, 2), (0.7, 0.2, 0.1))[0]
        plan += [Reaction(read + rng.uniform(MINUTE, 20 * HOUR), "open", agent) for _ in range(repeats)]
    if links and rng.random() < CLICK:
        plan.append(Reaction(read + rng.uniform(5, 90), "click", {**agent, "link_url": rng.choice(links)}))
    if replies:
        delay = read + rng.uniform(2 * MINUTE, 10 * HOUR)
        plan.append(Reaction(delay, "reply", {"reply_kind": recipient.reply_kind}))
    if unsubscribes:
        kind = "one_click" if recipient.uses_one_click and one_click else "unsubscribe"
        plan.append(Reaction(read + rng.uniform(10, 5 * MINUTE), kind))
    if complains:
        plan.append(Reaction(read + rng.uniform(10, HOUR), "complaint"))
    return plan


def _space_out(plan: list[Reaction]) -> list[Reaction]:
    """Return the reactions in order, within MAX_DELAY, with at least two seconds between two of the same kind.

    Webhooks and lists have whole seconds, so closer events could not be told apart.
    """
    last: dict[tuple[str, str], float] = {}
    spaced = []
    for reaction in sorted(plan, key=lambda reaction: reaction.delay):
        key = (reaction.kind, reaction.data.get("link_url", ""))
        delay = max(min(reaction.delay, MAX_DELAY), last.get(key, -2.0) + 2.0)
        last[key] = delay
        spaced.append(Reaction(delay, reaction.kind, reaction.data))
    return sorted(spaced, key=lambda reaction: reaction.delay)
