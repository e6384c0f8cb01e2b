"""The bounce and complaint guards: the rule that pauses a sequence whose mails bounce or are complained about."""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a workspace; a rate is a share (0 to 1) of its sample of mails, None for no limit."""

    bounce_sample: int
    max_bounce_rate: float | None
    complaint_sample: int
    max_complaint_rate: float | None
    max_daily_complaints: int | None
    """As many complaints on one day pause a sequence."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a sequence's latest mails, at most a sample of them, had an outcome."""

    sent: int
    affected: int


@dataclass(frozen=True, slots=True)
class Health:
    """The outcomes of a sequence's mails since it was activated."""

    bounced: Share
    complained: Share
    worst_day: date | None = None
    """The day with the most complaints, in the workspace's time zone; None without complaints."""
    worst_day_complaints: int = 0


def find_pause_reason(health: Health, limits: Limits) -> str | None:
    """Return why a sequence must pause, or None.

    A rate applies to the whole sample even when fewer mails have been sent: one bounce in three mails does not pause a
    sequence, and a bad list pauses it before the sample is complete.
    """
    for guard, share, outcome, rate, sample in (
        ("bounce", health.bounced, "bounced", limits.max_bounce_rate, limits.bounce_sample),
        ("complaint", health.complained, "were complained about", limits.max_complaint_rate, limits.complaint_sample),
    ):
        # Compare exact decimals: 0.29 of 100 is 29, but the binary float is slightly less.
        if rate is not None and share.affected > Fraction(str(rate)) * sample:
            suffix = "" if share.sent >= sample else f" of {sample}"
            return (
                f"paused by the {guard} guard: {share.affected} of the last {share.sent} mails {outcome} "
                f"(more than {rate * 100:g} %{suffix})"
            )
    most = limits.max_daily_complaints
    if most is not None and health.worst_day is not None and health.worst_day_complaints >= most:
        count = health.worst_day_complaints
        noun = "mail was" if count == 1 else "mails were"
        return (
            f"paused by the complaint guard: {count} {noun} complained about on {health.worst_day} (limit {most} a day)"
        )
    return None
