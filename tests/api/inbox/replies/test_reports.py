"""What a stored report means, by the address that was mailed."""

from typing import Any

import pytest

from ai.workflows.intent_classification.state import Intent
from api.inbox.replies.reports import (
    FORGEABLE,
    NO_MATCH,
    OTHER_RECIPIENT,
    REFUSED,
    UNKNOWN_FEEDBACK,
    Outcome,
    read_event,
    read_outcome,
)
from domain.suppression import SuppressionReason

MAILED = "mia@lager.example"
HARD = SuppressionReason.HARD_BOUNCE


def report(kind: str, *recipients: tuple[str, str, str, str], names_mail: bool = True) -> dict[str, Any]:
    """Return a stored report; each recipient is its address, action, status and detail."""
    items = [
        {"addresses": [address] if address else [], "action": action, "status": status, "detail": detail}
        for address, action, status, detail in recipients
    ]
    return {"kind": kind, "recipients": items, "names_mail": names_mail}


@pytest.mark.parametrize(
    ("recipients", "outcome"),
    [
        ([(MAILED, "failed", "5.1.1", "")], Outcome(Intent.BOUNCE, HARD)),
        ([("mia+news@lager.example", "failed", "5.1.1", "")], Outcome(Intent.BOUNCE, HARD)),
        ([("", "failed", "5.1.1", "")], Outcome(Intent.BOUNCE, HARD)),
        ([(MAILED, "failed", "5.1.10", "")], Outcome(Intent.BOUNCE, HARD)),
        ([(MAILED, "failed", "5.2.2", "mailbox full")], Outcome(Intent.BOUNCE)),
        ([(MAILED, "failed", "4.2.2", "")], Outcome(Intent.BOUNCE)),
        ([(MAILED, "failed", "4.4.7", "expired")], Outcome(Intent.BOUNCE)),
        ([(MAILED, "failed", "5.0.0", "")], Outcome(Intent.BOUNCE, review_reason=REFUSED)),
        ([(MAILED, "failed", "5.7.1", "blocked by policy")], Outcome(Intent.BOUNCE, review_reason=REFUSED)),
        ([(MAILED, "delayed", "4.4.1", ""), ("x@y.example", "failed", "5.1.1", "")], Outcome(Intent.OTHER)),
        ([("x@y.example", "relayed", "2.0.0", ""), (MAILED, "failed", "5.1.1", "")], Outcome(Intent.BOUNCE, HARD)),
        (
            [("new@lager.example", "failed", "5.1.1", "")],
            Outcome(Intent.BOUNCE, pauses=True, review_reason=OTHER_RECIPIENT),
        ),
        ([("new@lager.example", "failed", "5.2.2", "")], Outcome(Intent.BOUNCE, review_reason=OTHER_RECIPIENT)),
    ],
)
def test_a_bounce(recipients: list[tuple[str, str, str, str]], outcome: Outcome) -> None:
    """Only a failure of the address that was mailed suppresses it; a full mailbox and an expiry ask nothing."""
    assert read_outcome(report("bounce", *recipients), MAILED) == outcome
    assert read_outcome(report("bounce", *recipients), None) == Outcome(Intent.BOUNCE, review_reason=NO_MATCH)


@pytest.mark.parametrize(
    ("kind", "detail", "outcome"),
    [
        ("complaint", "abuse", Outcome(Intent.UNSUBSCRIBE, SuppressionReason.COMPLAINT)),
        ("feedback", "not-spam", Outcome(Intent.OTHER)),
        ("feedback", "auth-failure", Outcome(Intent.OTHER)),
        ("feedback", "other", Outcome(Intent.OTHER, review_reason=UNKNOWN_FEEDBACK)),
        ("delay", "", Outcome(Intent.OTHER)),
        ("delivery", "", Outcome(Intent.OTHER)),
        ("read_receipt", "", Outcome(Intent.OTHER)),
        ("unsubscribe", "", Outcome(Intent.UNSUBSCRIBE)),
    ],
)
def test_other_reports(kind: str, detail: str, outcome: Outcome) -> None:
    """A complaint about our mail suppresses the mailed address, also if the mail was forwarded; others stop nothing."""
    for address in (MAILED, "", "new@lager.example"):
        assert read_outcome(report(kind, (address, "", "", detail)), MAILED) == outcome


def test_a_complaint_about_no_mail_of_ours() -> None:
    """A complaint that matches no mail suppresses nothing and needs review."""
    outcome = read_outcome(report("complaint", (MAILED, "", "", "abuse")), None)
    assert outcome == Outcome(Intent.UNSUBSCRIBE, review_reason=NO_MATCH)


@pytest.mark.parametrize(
    ("kind", "recipient", "outcome"),
    [
        ("bounce", ("failed", "5.1.1", ""), Outcome(Intent.BOUNCE, pauses=True, review_reason=FORGEABLE)),
        ("bounce", ("failed", "5.7.1", "policy"), Outcome(Intent.BOUNCE, review_reason=REFUSED)),
        ("bounce", ("failed", "5.2.2", ""), Outcome(Intent.BOUNCE)),
        ("complaint", ("", "", "abuse"), Outcome(Intent.UNSUBSCRIBE, pauses=True, review_reason=FORGEABLE)),
    ],
)
def test_a_report_that_can_be_forged(kind: str, recipient: tuple[str, str, str], outcome: Outcome) -> None:
    """A report that only names the address suppresses nothing and is no event; a failure and a complaint pause."""
    forgeable = report(kind, (MAILED, *recipient), names_mail=False)
    assert read_outcome(forgeable, MAILED) == outcome
    assert read_event(forgeable, MAILED) is None
