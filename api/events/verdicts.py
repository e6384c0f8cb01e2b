"""Was it a person who opened or clicked? Rules over what the provider tells, each with a name and a version."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from database.models import EmailEventType

SCANNER_AGENTS = (
    "barracuda",
    "bot",
    "googleimageproxy-scan",
    "mimecast",
    "proofpoint",
    "scanner",
    "security",
    "spider",
)
TOO_SOON = timedelta(seconds=5)
"""No person opens or clicks within this time of delivery."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who did it, and the rule that says so."""

    by: Literal["human", "machine"]
    rule: str


def judge(
    event: EmailEventType, *, user_agent: str | None, occurred_at: datetime, delivered_at: datetime | None
) -> Verdict | None:
    """Return the verdict on an open or a click; None for events that nobody does by hand."""
    if event not in {EmailEventType.OPENED, EmailEventType.CLICKED}:
        return None
    agent = (user_agent or "").lower()
    if any(name in agent for name in SCANNER_AGENTS):
        return Verdict("machine", "scanner-agent/1")
    if delivered_at is not None and occurred_at - delivered_at < TOO_SOON:
        return Verdict("machine", "too-soon/1")
    return Verdict("human", "default/1")
