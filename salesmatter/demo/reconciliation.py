"""Whether all sides tell the same story: the sandbox's truth, the operational record, and the marts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from salesmatter.demo.http_client import HttpClient
from salesmatter.demo.judgement import FIGURES, Happening, count

_SANDBOX_TYPES = {
    "delivered": "delivered",
    "failed": "bounced",
    "bounce": "bounced",
    "open": "opened",
    "click": "clicked",
    "unsubscribe": "unsubscribed",
    "one_click": "unsubscribed",
}
ABSENCE = "out_of_office"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The figures of each side, and the mails that went to people who had said stop."""

    sandbox: Mapping[str, int]
    operational: Mapping[str, int]
    marts: Mapping[str, int]
    mailed_after_stop: list[str]

    @property
    def agrees(self) -> bool:
        """Whether the three sides count the same, and nobody was mailed after a stop."""
        same = all(self.sandbox[one] == self.operational[one] == self.marts[one] for one in FIGURES)
        return same and not self.mailed_after_stop


def reconcile(
    api: HttpClient, sandbox: HttpClient, *, workspace: str, sequence: str, username: str, in_flight: float
) -> Reconciliation:
    """Ask all sides. `in_flight` is for how many business seconds after a stop was heard a mail may still arrive."""
    ledger = sandbox.get("/__sandbox__/ledger", username=username)
    drafts = api.all(f"/api/workspaces/{workspace}/drafts", sequenceId=sequence, status="sent")
    replies = api.all(f"/api/workspaces/{workspace}/replies")
    events = api.all(f"/api/workspaces/{workspace}/events")
    campaign = api.get(f"/api/metrics/{workspace}/campaigns/{sequence}")
    return Reconciliation(
        sandbox=count({mail["message_id"]: _truth_of(mail) for mail in ledger}),
        operational=count(_recorded(drafts, events, replies)),
        marts={figure: campaign[figure] for figure in FIGURES},
        mailed_after_stop=[*_told_and_mailed(ledger, in_flight), *_replied_and_mailed(drafts, replies, in_flight)],
    )


def _truth_of(mail: Mapping[str, Any]) -> Iterable[Happening]:
    for kind, told in mail["events"].items():
        for one in told:
            if kind == "reply":
                if one["data"].get("reply_kind") != ABSENCE:
                    yield Happening("replied", one["occurred_at"])
            elif kind in _SANDBOX_TYPES:
                is_soft = one["data"].get("bounce_type") == "soft"
                yield Happening(_SANDBOX_TYPES[kind], one["occurred_at"], is_soft)


def _recorded(
    drafts: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]], replies: Iterable[Mapping[str, Any]]
) -> dict[str, list[Happening]]:
    """Return what the operational record says happened to each message that was sent."""
    messages: dict[str, list[Happening]] = {draft["id"]: [] for draft in drafts}
    for event in events:
        if event["draftId"] in messages:
            is_soft = event["data"].get("bounce_type") == "soft"
            messages[event["draftId"]].append(Happening(event["type"], _epoch(event["occurredAt"]), is_soft))
    for reply in replies:
        if reply["draftId"] in messages and reply["isAutomatic"] is False:
            messages[reply["draftId"]].append(Happening("replied", _epoch(reply["receivedAt"])))
    return messages


def _told_and_mailed(ledger: Iterable[Mapping[str, Any]], in_flight: float) -> list[str]:
    """Return the mails the sandbox took for somebody whose stop it had told us of before."""
    heard: dict[str, float] = {}
    taken: dict[str, list[float]] = defaultdict(list)
    for mail in ledger:
        address = mail["to"].lower()
        taken[address].append(mail["accepted_at"])
        for kind, told in mail["events"].items():
            for one in told:
                if _is_stop(kind, one["data"]) and one["delivered_at"] is not None:
                    heard[address] = min(heard.get(address, one["delivered_at"]), one["delivered_at"])
    return [
        f"{address} was mailed {(at - heard[address]) / 3600:.1f} h after a stop that Everlytic had told us of"
        for address in heard
        for at in taken[address]
        if at > heard[address] + in_flight
    ]


def _is_stop(kind: str, data: Mapping[str, Any]) -> bool:
    if kind == "reply":
        return bool(data.get("reply_kind") != ABSENCE)
    return kind in {"unsubscribe", "one_click", "complaint"} or (kind == "bounce" and data.get("bounce_type") == "hard")


def _replied_and_mailed(
    drafts: Iterable[Mapping[str, Any]], replies: Iterable[Mapping[str, Any]], in_flight: float
) -> list[str]:
    """Return the drafts that went to somebody whose answer was on our own record before."""
    answered: dict[str, float] = {}
    for reply in replies:
        if reply["leadId"] is not None and reply["isAutomatic"] is False:
            at = _epoch(reply["receivedAt"])
            answered[reply["leadId"]] = min(answered.get(reply["leadId"], at), at)
    return [
        f"lead {draft['leadId']} was mailed after their reply"
        for draft in drafts
        if draft["leadId"] in answered and _epoch(draft["sentAt"]) > answered[draft["leadId"]] + in_flight
    ]


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
