"""The bounce and complaint guards: the rule that pauses a sequence whose mails bounce or are complained about."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a workspace; a rate is a share (0 to 1) of `sample` mails, None for no limit."""

    sample: int
    max_bounce_rate: float | None
    max_complaint_rate: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """How many of a sequence's latest mails, at most a sample of them, were sent, bounced and were complained about."""

    sent: int
    bounced: int
    complained: int


def find_pause_reason(health: Health, limits: Limits) -> str | None:
    """Return why a sequence must pause, or None.

    A rate applies to the whole sample even when fewer mails have been sent: one bounce in three mails does not pause a
    sequence, and a bad list pauses it before the sample is complete.
    """
    for guard, count, outcome, rate in (
        ("bounce", health.bounced, "bounced", limits.max_bounce_rate),
        ("complaint", health.complained, "were complained about", limits.max_complaint_rate),
    ):
        # Compare exact decimals: 0.29 of 100 is 29, but the binary float is slightly less.
        if rate is not None and count > Fraction(str(rate)) * limits.sample:
            suffix = "" if health.sent >= limits.sample else f" of {limits.sample}"
            return (
                f"paused by the {guard} guard: {count} of the last {health.sent} mails {outcome} "
                f"(more than {rate * 100:g} %{suffix})"
            )
    return None
