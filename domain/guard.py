"""When a sequence's mails do it harm: the rule that pauses a sequence that bounces or is complained about."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Limits:
    """What a workspace puts up with; a rate is a share (0 to 1) of `sample` mails, None for any."""

    sample: int
    max_bounce_rate: float | None
    max_complaint_rate: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """Of a sequence's last mails, at most a sample of them: how many were sent, bounced and complained about."""

    sent: int
    bounced: int
    complained: int


def verdict(health: Health, limits: Limits) -> str | None:
    """Return why a sequence has to pause, or None.

    A rate is taken of the whole sample, also while fewer mails are sent: one bounce of three mails is no alarm, and a
    bad list need not be sent to its end.
    """
    for guard, count, happened, rate in (
        ("bounce", health.bounced, "bounced", limits.max_bounce_rate),
        ("complaint", health.complained, "were complained about", limits.max_complaint_rate),
    ):
        # As it was written down: 0.29 of 100 is 29, which the binary number is a little less than.
        if rate is not None and count > Fraction(str(rate)) * limits.sample:
            of = "" if health.sent >= limits.sample else f" of {limits.sample}"
            return (
                f"paused by the {guard} guard: {count} of the last {health.sent} mails {happened} "
                f"(more than {rate * 100:g} %{of})"
            )
    return None
