"""What a report of a mail system means for the mail that it is about, by the address that was mailed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ai.workflows.intent_classification.state import Intent
from database.models import EmailEventType
from domain.bounce import BounceKind, classify_status, describe_bounce
from domain.suppression import SuppressionReason, derive_person_key
from email_text.reports import ReportedRecipient, ReportKind

NO_MATCH = "This report matches no email of the workspace."
OTHER_RECIPIENT = "The report names another address than the one that was mailed."
FORGEABLE = "The report does not name the id of the email, so it can be forged. Suppress the address if it is true."
REFUSED = "The receiving server refused the email for another reason than its address."
UNKNOWN_FEEDBACK = "The feedback has a type that is not known."
_HARMLESS_FEEDBACK = ("not-spam", "auth-failure", "virus", "dkim", "dmarc", "spf", "adsp", "policy", "smtp")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The intent of a report, what it stops, and why a user must review it."""

    intent: Intent
    suppression: SuppressionReason | None = None
    """Why the address that was mailed is suppressed, if it is."""
    pauses: bool = False
    """Whether the enrollments of the lead pause although no address is suppressed."""
    review_reason: str | None = None


@dataclass(frozen=True, slots=True)
class ReportedEvent:
    """An event of a mail that a report tells, as Everlytic would have told it."""

    type: EmailEventType
    bounce_kind: BounceKind | None = None
    detail: str = ""


_GRAVITY = (
    *(BounceKind.ADDRESS, BounceKind.AUTHENTICATION, BounceKind.POLICY, BounceKind.MAILBOX_FULL),
    *(BounceKind.CONTENT, BounceKind.UNKNOWN),
)
"""Of several failures of one address, the first of these kinds counts."""


def read_outcome(report: Mapping[str, Any], mailed: str | None) -> Outcome:
    """Return what a stored report means; `mailed` is the address of the mail that it is about, if that is known.

    Only a report that names the id of the mail suppresses. Anyone can name an address, which pauses the lead.
    """
    kind, recipients = ReportKind(report["kind"]), _read_recipients(report)
    if kind is ReportKind.UNSUBSCRIBE:
        return Outcome(Intent.UNSUBSCRIBE)
    if kind is ReportKind.COMPLAINT:
        # A complaint about our mail counts, whatever address the mail was forwarded to.
        outcome = Outcome(Intent.UNSUBSCRIBE, SuppressionReason.COMPLAINT if mailed else None)
        return _ask_if_forgeable(report, outcome if mailed else replace(outcome, review_reason=NO_MATCH))
    if kind is ReportKind.FEEDBACK:
        is_known = any(recipient.detail.startswith(_HARMLESS_FEEDBACK) for recipient in recipients)
        return Outcome(Intent.OTHER, review_reason=None if is_known else UNKNOWN_FEEDBACK)
    if kind is not ReportKind.BOUNCE:
        return Outcome(Intent.OTHER)
    return _ask_if_forgeable(report, _read_bounce(recipients, mailed))


def _ask_if_forgeable(report: Mapping[str, Any], outcome: Outcome) -> Outcome:
    if outcome.suppression is None or report["names_mail"]:
        return outcome
    return replace(outcome, suppression=None, pauses=True, review_reason=FORGEABLE)


def _read_bounce(recipients: Sequence[ReportedRecipient], mailed: str | None) -> Outcome:
    if mailed is None:
        return Outcome(Intent.BOUNCE, review_reason=NO_MATCH)
    ours = _list_ours(recipients, mailed)
    if not ours:
        is_dead = any(_classify(recipient) is BounceKind.ADDRESS for recipient in recipients)
        return Outcome(Intent.BOUNCE, pauses=is_dead, review_reason=OTHER_RECIPIENT)
    failed = [recipient for recipient in ours if recipient.action == "failed"]
    if not failed:
        return Outcome(Intent.OTHER)
    kinds = {_classify(recipient) for recipient in failed}
    if BounceKind.ADDRESS in kinds:
        return Outcome(Intent.BOUNCE, SuppressionReason.HARD_BOUNCE)
    is_temporary = kinds == {BounceKind.MAILBOX_FULL} or all(recipient.status[:1] == "4" for recipient in failed)
    return Outcome(Intent.BOUNCE, review_reason=None if is_temporary else REFUSED)


def read_event(report: Mapping[str, Any], mailed: str | None) -> ReportedEvent | None:
    """Return the event of the mail to `mailed` that a stored report tells; None if it tells none or can be forged."""
    kind = ReportKind(report["kind"])
    if mailed is None or not report["names_mail"]:
        return None
    if kind is ReportKind.COMPLAINT:
        return ReportedEvent(EmailEventType.COMPLAINED)
    ours = _list_ours(_read_recipients(report), mailed) if kind is ReportKind.BOUNCE else []
    bounces = [(bounce, recipient) for recipient in ours if (bounce := _classify(recipient)) is not None]
    if not bounces:
        return None
    bounce, recipient = min(bounces, key=lambda found: _GRAVITY.index(found[0]))
    detail = describe_bounce({"bounce_reason": f"{recipient.status} {recipient.detail}"})
    return ReportedEvent(EmailEventType.BOUNCED, bounce, detail)


def _list_ours(recipients: Sequence[ReportedRecipient], mailed: str) -> list[ReportedRecipient]:
    """Return what a report says about the address that was mailed; all of it if it names no address."""
    is_named = any(recipient.addresses for recipient in recipients)
    key = derive_person_key(mailed)
    return [
        recipient
        for recipient in recipients
        if not is_named or any(derive_person_key(address) == key for address in recipient.addresses)
    ]


def _classify(recipient: ReportedRecipient) -> BounceKind | None:
    is_failed = recipient.action == "failed"
    return classify_status(recipient.status, recipient.detail) if is_failed else None


def _read_recipients(report: Mapping[str, Any]) -> list[ReportedRecipient]:
    return [
        ReportedRecipient(tuple(item["addresses"]), item["action"], item["status"], item["detail"])
        for item in report["recipients"]
    ]
