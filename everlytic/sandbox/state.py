"""The ledger: what each username (tenant) sent, what truly happened to it, and what of that was told."""

import bisect
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from everlytic.sandbox.scenarios import Behaviour


@dataclass(slots=True)
class Event:
    """Something that happened to a mail. Virtual times; ``delivered_at`` is when it was told with a 2xx, or None."""

    type: str
    occurred_at: float
    mail: "CapturedMail"
    data: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    delivered_at: float | None = None


@dataclass(slots=True)
class CapturedMail:
    """One accepted mail to one recipient, with all that was asked for it."""

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

    def header(self, name: str) -> str | None:
        """The first value of a custom header, by name in any case."""
        wanted = name.lower()
        return next((texts[0] for key, texts in self.custom_headers.items() if key.lower() == wanted and texts), None)

    @property
    def size(self) -> int:
        """Bytes of the bodies, about."""
        return len(self.html) + len(self.text)


@dataclass(slots=True)
class Hook:
    """A registered webhook, as registered."""

    id: str
    registration: dict[str, Any]
    status: str = "enabled"

    def shown(self) -> dict[str, Any]:
        """The object the API answers, stored password included, as Everlytic does."""
        return {"id": self.id, "status": self.status, **self.registration}


@dataclass(slots=True)
class Bulk:
    """A bulk email; ``sent_at`` is virtual, None while composing."""

    id: int
    properties: dict[str, Any]
    created_at: float
    sent_at: float | None = None


@dataclass(slots=True)
class Tenant:
    """Everything of one username."""

    username: str
    behaviour: Behaviour
    hooks: dict[str, Hook] = field(default_factory=dict)
    mails: list[CapturedMail] = field(default_factory=list)
    by_id: dict[str, CapturedMail] = field(default_factory=dict)
    by_header: dict[tuple[str, str], list[CapturedMail]] = field(default_factory=lambda: defaultdict(list))
    by_group: dict[str, list[CapturedMail]] = field(default_factory=lambda: defaultdict(list))
    message_ids: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    groups: dict[str, int] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    opted_out: set[str] = field(default_factory=set)
    tries: Counter[str] = field(default_factory=Counter)
    bulks: dict[int, Bulk] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    inbound: dict[str, Any] | None = None
    pending_people: int = 0
    gone: bool = False
    """Whether it was reset; what was planned for it then comes to nothing."""
    held_back: int = 0
    """Deliveries that are planned for later (out of order, duplicates)."""

    def keep(self, mail: CapturedMail) -> None:
        """File a mail under everything it is looked up by."""
        self.mails.append(mail)
        self.by_id[mail.transaction_id] = mail
        self.by_id[mail.legacy_id] = mail
        self.by_group[mail.group].append(mail)
        self.message_ids.add(mail.message_id)
        for name, texts in mail.custom_headers.items():
            for text in texts:
                self.by_header[name.lower(), text].append(mail)

    def record(self, event: Event) -> None:
        """File an event, in order of time."""
        event.mail.events.append(event)
        if self.events and event.occurred_at < self.events[-1].occurred_at:
            bisect.insort(self.events, event, key=lambda one: one.occurred_at)
        else:
            self.events.append(event)

    def group_id(self, name: str) -> int:
        """The number of a transaction group, made on first use."""
        return self.groups.setdefault(name, 360 + len(self.groups))

    def find(self, name: str) -> CapturedMail | None:
        """A mail by transaction id, legacy id or the caller's message id (the newest)."""
        found = self.by_id.get(name)
        return found or next((mail for mail in reversed(self.mails) if mail.message_id == name), None)

    def ledger(self) -> list[dict[str, Any]]:
        """The truth per mail, oldest first."""
        return [
            {
                "message_id": mail.message_id,
                "transaction_id": mail.transaction_id,
                "legacy_id": mail.legacy_id,
                "rfc_message_id": mail.rfc_message_id,
                "to": mail.recipient,
                "group": mail.group,
                "accepted_at": mail.accepted_at,
                "events": self._told(mail),
            }
            for mail in self.mails
        ]

    @staticmethod
    def _told(mail: CapturedMail) -> dict[str, list[dict[str, Any]]]:
        told: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for event in mail.events:
            told[event.type].append(
                {
                    "id": event.id,
                    "occurred_at": event.occurred_at,
                    "delivered_at": event.delivered_at,
                    "data": event.data,
                }
            )
        return told

    def truth(self) -> dict[str, dict[str, int]]:
        """Per group, how many mails had each thing happen to them (unique per mail, not counts of events)."""
        return {group: _totals(mails) for group, mails in self.by_group.items()}


def _totals(mails: list[CapturedMail]) -> dict[str, int]:
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
        totals.update({one for event in mail.events for one in _facts(event)})
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


def _facts(event: Event) -> list[str]:
    if event.type == "reply":
        return ["auto_replied" if event.data.get("reply_kind") == "out_of_office" else "replied"]
    facts = [_NAMES.get(event.type, event.type)]
    if event.type == "bounce":
        facts.append(f"bounced_{event.data.get('bounce_type', 'hard')}")
    if event.type == "open" and not event.data.get("machine"):
        facts.append("opened_human")
    return facts
