"""The data of each username (tenant): its mails, their events, and which events were delivered."""

import bisect
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from everlytic.models import find_header
from everlytic.sandbox.scenarios import Behaviour


@dataclass(slots=True)
class Event:
    """One event of a mail, with virtual times; ``delivered_at`` is the time of the 2xx response, or None."""

    type: str
    occurred_at: float
    mail: "CapturedMail"
    data: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    delivered_at: float | None = None


@dataclass(slots=True)
class CapturedMail:
    """One accepted mail to one recipient."""

    number: int
    transaction_id: str
    legacy_id: str
    method: str
    message_id: str
    rfc_message_id: str
    group: str
    group_id: int
    sender: str
    recipient: str
    recipient_name: str
    reply_to: str
    subject: str
    html: str
    text: str
    custom_headers: dict[str, list[str]]
    accepted_at: float
    track_opens: bool
    track_links: bool
    status: str = "queued"
    bounce: dict[str, Any] = field(default_factory=dict)
    opens: int = 0
    clicks: int = 0
    events: list[Event] = field(default_factory=list)

    def get_header(self, name: str) -> str | None:
        """Return the first value of a custom header; the name's case does not matter."""
        return find_header(self.custom_headers, name)

    @property
    def size(self) -> int:
        """The approximate size of the bodies in bytes."""
        return len(self.html) + len(self.text)


@dataclass(slots=True)
class RegisteredWebhook:
    """A registered webhook."""

    id: str
    registration: dict[str, Any]
    status: str = "enabled"

    def to_json(self) -> dict[str, Any]:
        """Return the object for API responses; like Everlytic, it includes the password."""
        return {"id": self.id, "status": self.status, **self.registration}


@dataclass(slots=True)
class BulkEmail:
    """A bulk email; ``sent_at`` is virtual, None while composing."""

    id: int
    properties: dict[str, Any]
    created_at: float
    sent_at: float | None = None


@dataclass(slots=True)
class Tenant:
    """The data of one username."""

    username: str
    behaviour: Behaviour
    webhooks: dict[str, RegisteredWebhook] = field(default_factory=dict)
    mails: list[CapturedMail] = field(default_factory=list)
    by_id: dict[str, CapturedMail] = field(default_factory=dict)
    by_header: dict[tuple[str, str], list[CapturedMail]] = field(default_factory=lambda: defaultdict(list))
    by_group: dict[str, list[CapturedMail]] = field(default_factory=lambda: defaultdict(list))
    message_ids: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    groups: dict[str, int] = field(default_factory=dict)
    mail_counts: Counter[str] = field(default_factory=Counter)
    opted_out: set[str] = field(default_factory=set)
    request_counts: Counter[str] = field(default_factory=Counter)
    bulk_emails: dict[int, BulkEmail] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    inbound: dict[str, Any] | None = None
    pending_reactions: int = 0
    is_reset: bool = False
    """Whether it was reset; callbacks that are still scheduled for it then do nothing."""
    delayed_count: int = 0
    """The number of deliveries that a fault delayed (out of order, duplicates)."""

    def add_mail(self, mail: CapturedMail) -> None:
        """Add a mail to the list and to all indexes."""
        self.mails.append(mail)
        self.by_id[mail.transaction_id] = mail
        self.by_id[mail.legacy_id] = mail
        self.by_group[mail.group].append(mail)
        self.message_ids.add(mail.message_id)
        for name, texts in mail.custom_headers.items():
            for text in texts:
                self.by_header[name.lower(), text].append(mail)

    def add_event(self, event: Event) -> None:
        """Add an event, in order of time."""
        event.mail.events.append(event)
        if self.events and event.occurred_at < self.events[-1].occurred_at:
            bisect.insort(self.events, event, key=lambda other: other.occurred_at)
        else:
            self.events.append(event)

    def get_group_id(self, name: str) -> int:
        """Return the number of a transaction group, created on first use."""
        return self.groups.setdefault(name, 360 + len(self.groups))

    def find_mail(self, name: str) -> CapturedMail | None:
        """Return a mail by transaction id, legacy id or the caller's message id; of several mails, the newest."""
        mail = self.by_id.get(name)
        return mail or next((mail for mail in reversed(self.mails) if mail.message_id == name), None)

    def build_ledger(self) -> list[dict[str, Any]]:
        """Return every mail with its events, oldest first."""
        return [
            {
                "message_id": mail.message_id,
                "transaction_id": mail.transaction_id,
                "legacy_id": mail.legacy_id,
                "rfc_message_id": mail.rfc_message_id,
                "to": mail.recipient,
                "group": mail.group,
                "accepted_at": mail.accepted_at,
                "events": self._group_events(mail),
            }
            for mail in self.mails
        ]

    @staticmethod
    def _group_events(mail: CapturedMail) -> dict[str, list[dict[str, Any]]]:
        events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for event in mail.events:
            events[event.type].append(
                {
                    "id": event.id,
                    "occurred_at": event.occurred_at,
                    "delivered_at": event.delivered_at,
                    "data": event.data,
                }
            )
        return events

    def build_totals(self) -> dict[str, dict[str, int]]:
        """Return per group the number of mails with each kind of event; a mail counts once per kind."""
        return {group: _count_mails(mails) for group, mails in self.by_group.items()}


def _count_mails(mails: list[CapturedMail]) -> dict[str, int]:
    totals: Counter[str] = Counter(
        dict.fromkeys(
            (
                *(
                    "accepted",
                    "sent",
                    "delivered",
                    "failed",
                    "bounced",
                    "bounced_hard",
                    "bounced_soft",
                    "opened",
                    "clicked",
                ),
                *("opened_human", "unsubscribed", "replied", "auto_replied", "complained", "resubscribed"),
            ),
            0,
        )
    )
    for mail in mails:
        totals["accepted"] += 1
        totals.update({kind for event in mail.events for kind in _list_kinds(event)})
    return dict(totals)


_NAMES = {
    "open": "opened",
    "click": "clicked",
    "bounce": "bounced",
    "unsubscribe": "unsubscribed",
    "one_click": "unsubscribed",
    "complaint": "complained",
    "resubscribe": "resubscribed",
}


def _list_kinds(event: Event) -> list[str]:
    if event.type == "reply":
        return ["auto_replied" if event.data.get("reply_kind") == "out_of_office" else "replied"]
    kinds = [_NAMES.get(event.type, event.type)]
    if event.type == "bounce":
        kinds.append(f"bounced_{event.data.get('bounce_type', 'hard')}")
    if event.type == "open" and not event.data.get("machine"):
        kinds.append("opened_human")
    return kinds
