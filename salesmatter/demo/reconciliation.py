"""Compares the counts of the sandbox, the operational tables and the marts, and finds sends after a stop."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.bounce import BounceKind, classify_bounce
from salesmatter.demo.http_client import HttpClient
from salesmatter.demo.message_counts import FIGURES, MessageEvent, count_messages

_SANDBOX_TYPES = {
    "delivered": "delivered",
    "failed": "bounced",
    "bounce": "bounced",
    "open": "opened",
    "click": "clicked",
    "unsubscribe": "unsubscribed",
    "one_click": "unsubscribed",
}
OUT_OF_OFFICE = "out_of_office"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The figures of each source, and the sends to people who had already stopped the campaign."""

    sandbox: Mapping[str, int]
    operational: Mapping[str, int]
    marts: Mapping[str, int]
    sends_after_stop: list[str]

    @property
    def is_consistent(self) -> bool:
        """Whether the three sources have the same figures, and no mail was sent after a stop."""
        agrees = all(self.sandbox[name] == self.operational[name] == self.marts[name] for name in FIGURES)
        return agrees and not self.sends_after_stop


def reconcile(
    api: HttpClient, sandbox: HttpClient, *, workspace_id: str, sequence_id: str, username: str, in_flight: float
) -> Reconciliation:
    """Read and compare all sources; `in_flight` is how many business seconds after a stop a mail may still arrive."""
    ledger = sandbox.get("/__sandbox__/ledger", username=username)
    drafts = api.list_all(f"/api/workspaces/{workspace_id}/drafts", sequenceId=sequence_id, status="sent")
    replies = api.list_all(f"/api/workspaces/{workspace_id}/replies")
    events = api.list_all(f"/api/workspaces/{workspace_id}/events")
    campaign = api.get(f"/api/metrics/{workspace_id}/campaigns/{sequence_id}")
    return Reconciliation(
        sandbox=count_messages({mail["message_id"]: _sandbox_events(mail) for mail in ledger}),
        operational=count_messages(_recorded_events(drafts, events, replies)),
        marts={figure: campaign[figure] for figure in FIGURES},
        sends_after_stop=[
            *_find_sends_after_reported_stop(ledger, in_flight),
            *_find_sends_after_reply(ledger, drafts, replies, in_flight),
        ],
    )


def _sandbox_events(mail: Mapping[str, Any]) -> Iterable[MessageEvent]:
    for kind, events in mail["events"].items():
        for event in events:
            if kind == "reply":
                if event["data"].get("reply_kind") != OUT_OF_OFFICE:
                    yield MessageEvent("replied", event["occurred_at"])
            elif kind in _SANDBOX_TYPES:
                is_soft = not classify_bounce(event["data"]).is_hard
                yield MessageEvent(_SANDBOX_TYPES[kind], event["occurred_at"], is_soft)


def _recorded_events(
    drafts: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]], replies: Iterable[Mapping[str, Any]]
) -> dict[str, list[MessageEvent]]:
    """Return the recorded events and replies of each sent message."""
    messages: dict[str, list[MessageEvent]] = {draft["id"]: [] for draft in drafts}
    for event in events:
        if event["draftId"] in messages:
            is_soft = event["bounceKind"] != BounceKind.ADDRESS
            messages[event["draftId"]].append(MessageEvent(event["type"], _to_epoch(event["occurredAt"]), is_soft))
    for reply in replies:
        if reply["draftId"] in messages and reply["isAutomatic"] is False:
            messages[reply["draftId"]].append(MessageEvent("replied", _to_epoch(reply["receivedAt"])))
    return messages


def _find_sends_after_reported_stop(ledger: Iterable[Mapping[str, Any]], in_flight: float) -> list[str]:
    """Return the mails that the sandbox accepted after it had reported a stop of the recipient to us."""
    reported_at: dict[str, float] = {}
    accepted_at: dict[str, list[float]] = defaultdict(list)
    for mail in ledger:
        address = mail["to"].lower()
        accepted_at[address].append(mail["accepted_at"])
        for kind, events in mail["events"].items():
            for event in events:
                delivered_at = event["delivered_at"]
                if _is_stop(kind, event["data"]) and delivered_at is not None:
                    reported_at[address] = min(reported_at.get(address, delivered_at), delivered_at)
    return [
        f"{address} was mailed {(at - reported_at[address]) / 3600:.1f} h after Everlytic had reported a stop"
        for address in reported_at
        for at in accepted_at[address]
        if at > reported_at[address] + in_flight
    ]


def _is_stop(kind: str, data: Mapping[str, Any]) -> bool:
    if kind == "reply":
        return bool(data.get("reply_kind") != OUT_OF_OFFICE)
    return kind in {"unsubscribe", "one_click", "complaint"} or (kind == "bounce" and classify_bounce(data).is_hard)


def _find_sends_after_reply(
    ledger: Iterable[Mapping[str, Any]],
    drafts: Iterable[Mapping[str, Any]],
    replies: Iterable[Mapping[str, Any]],
    in_flight: float,
) -> list[str]:
    """Return the drafts that the sandbox accepted after we had received a reply of the lead.

    Their `sentAt` is the time when the acceptance was recorded, which may be after a reply to the mail itself.
    """
    accepted_at = {mail["message_id"]: mail["accepted_at"] for mail in ledger}
    replied_at: dict[str, float] = {}
    for reply in replies:
        if reply["leadId"] is not None and reply["isAutomatic"] is False:
            at = _to_epoch(reply["receivedAt"])
            replied_at[reply["leadId"]] = min(replied_at.get(reply["leadId"], at), at)
    return [
        f"lead {draft['leadId']} was mailed after their reply"
        for draft in drafts
        if draft["leadId"] in replied_at
        and accepted_at.get(draft["id"], float("-inf")) > replied_at[draft["leadId"]] + in_flight
    ]


def _to_epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
