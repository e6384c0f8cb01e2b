"""Tests of the reconciliation: equal figures of all sources, and sends after each kind of stop."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import pytest

from salesmatter.demo.http_client import HttpClient
from salesmatter.demo.message_counts import FIGURES
from salesmatter.demo.reconciliation import Reconciliation, reconcile
from tests.ai.threaded import serving

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
IN_FLIGHT = 100.0


def iso(seconds: float) -> str:
    """Return a time after noon in the API's format."""
    return datetime.fromtimestamp(NOON + seconds, UTC).isoformat()


class Sources:
    """One mail to ada@example.test, sent at noon as the message `one`, and the records of each source about it."""

    def __init__(self) -> None:
        self.ledger: list[dict[str, Any]] = [self.mail("one", 0)]
        self.drafts: list[dict[str, Any]] = [{"id": "one", "leadId": "lead", "sentAt": iso(0)}]
        self.replies: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.campaign = dict.fromkeys(FIGURES, 0) | {"sent": 1}

    @staticmethod
    def mail(message_id: str, accepted: float, to: str = "ada@example.test") -> dict[str, Any]:
        """Return a mail as the sandbox has accepted it."""
        return {"message_id": message_id, "to": to, "accepted_at": NOON + accepted, "events": {}}

    def add_event(self, kind: str, delivered: float | None, **data: str) -> None:
        """Add an event of the first mail, which is reported to us `delivered` seconds after noon, or never."""
        at = None if delivered is None else NOON + delivered
        event = {"occurred_at": NOON + (delivered or 0), "delivered_at": at, "data": data}
        self.ledger[0]["events"].setdefault(kind, []).append(event)

    def add_reply(self, seconds: float, automatic: bool | None = False, lead: str | None = "lead") -> None:
        """Add a reply of the recipient."""
        self.replies.append(
            {"draftId": "one", "leadId": lead, "isAutomatic": automatic, "receivedAt": iso(seconds), "id": "r"}
        )

    def reconcile(self) -> Reconciliation:
        """Read and compare all sources."""
        with self._serve() as url, HttpClient(url) as client:
            return reconcile(client, client, workspace_id="w", sequence_id="s", username="u", in_flight=IN_FLIGHT)

    @contextmanager
    def _serve(self) -> Iterator[str]:
        lists = {"drafts": self.drafts, "replies": self.replies, "events": self.events}
        responses: dict[str, object] = {
            f"/api/workspaces/w/{name}": {"items": items, "nextCursor": None} for name, items in lists.items()
        }
        responses |= {"/__sandbox__/ledger": self.ledger, "/api/metrics/w/campaigns/s": self.campaign}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(responses[urlsplit(self.path).path]).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        with serving(Handler) as url:
            yield url


@pytest.fixture
def sources() -> Sources:
    """Sources that agree on one sent mail."""
    return Sources()


def test_equal_sources_are_consistent(sources: Sources) -> None:
    """One mail that was sent in all sources is consistent."""
    assert sources.reconcile().is_consistent


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("source", ["sandbox", "operational", "marts"])
def test_one_different_figure_is_inconsistent(figure: str, source: str) -> None:
    """If any figure of any source differs, the result is not consistent."""
    figures = {name: dict.fromkeys(FIGURES, 3) for name in ("sandbox", "operational", "marts")}
    assert Reconciliation(**figures, sends_after_stop=[]).is_consistent
    figures[source][figure] += 1
    assert not Reconciliation(**figures, sends_after_stop=[]).is_consistent


def test_a_send_after_a_stop_is_inconsistent() -> None:
    """With equal figures, a mail to a recipient who had stopped the campaign is still a failure."""
    figures = {name: dict.fromkeys(FIGURES, 3) for name in ("sandbox", "operational", "marts")}
    assert not Reconciliation(**figures, sends_after_stop=["ada@example.test"]).is_consistent


def test_sandbox_and_operational_events_give_the_same_figures(sources: Sources) -> None:
    """Each event type of the sandbox counts like the operational type that it becomes."""
    for kind, operational_type, data in (
        ("delivered", "delivered", {}),
        ("open", "opened", {}),
        ("click", "clicked", {}),
        ("one_click", "unsubscribed", {}),
        ("resubscribe", None, {}),
        ("bounce", "bounced", {"bounce_type": "soft"}),
    ):
        second = 0 if kind == "bounce" else 9
        sources.add_event(kind, second, **data)
        if operational_type:
            event = {"id": kind, "draftId": "one", "type": operational_type, "occurredAt": iso(second)}
            sources.events.append({**event, "bounceKind": "unknown" if kind == "bounce" else None})
    sources.events.append(
        {"id": "x", "draftId": "another", "type": "bounced", "occurredAt": iso(9), "bounceKind": "address"}
    )
    sources.add_event("reply", 9, reply_kind="question")
    sources.add_event("reply", 9, reply_kind="out_of_office")
    sources.add_reply(9)
    sources.add_reply(9, automatic=True)
    result = sources.reconcile()
    expected = dict.fromkeys(FIGURES, 1) | {"bounced": 0}
    assert result.sandbox == result.operational == expected
    assert result.marts == sources.campaign


@pytest.mark.parametrize(
    ("kind", "data", "is_stop"),
    [
        ("unsubscribe", {}, True),
        ("one_click", {}, True),
        ("complaint", {}, True),
        ("bounce", {"bounce_type": "hard"}, True),
        ("bounce", {"bounce_type": "soft"}, False),
        ("bounce", {}, False),
        ("failed", {}, False),
        ("open", {}, False),
        ("reply", {"reply_kind": "question"}, True),
        ("reply", {"reply_kind": "out_of_office"}, False),
    ],
)
def test_a_mail_after_a_reported_stop_is_found(
    sources: Sources, kind: str, data: dict[str, str], is_stop: bool
) -> None:
    """A second mail, later than the allowed time in flight, is found after each kind of stop and no other event."""
    sources.add_event(kind, 0, **data)
    sources.ledger.append(sources.mail("two", IN_FLIGHT + 1, "ADA@example.test"))
    sources.ledger.append(sources.mail("other", IN_FLIGHT + 1, "ben@example.test"))
    expected = ["ada@example.test was mailed 0.0 h after Everlytic had reported a stop"]
    assert sources.reconcile().sends_after_stop == (expected if is_stop else [])


@pytest.mark.parametrize(("after", "count"), [(-1, 0), (0, 0), (1, 1)])
def test_a_mail_in_flight_at_the_time_of_a_stop_is_allowed(sources: Sources, after: int, count: int) -> None:
    """A mail accepted at the end of the allowed time in flight is not found; one accepted a second later is.

    The earliest of several stops counts, and a stop that was never reported does not.
    """
    sources.add_event("unsubscribe", 50)
    sources.add_event("complaint", 10)
    sources.add_event("one_click", None)
    sources.ledger.append(sources.mail("two", 10 + IN_FLIGHT + after))
    assert len(sources.reconcile().sends_after_stop) == count


@pytest.mark.parametrize(("after", "faults"), [(-1, []), (0, []), (1, ["lead lead was mailed after their reply"])])
def test_a_draft_in_flight_at_the_time_of_a_reply_is_allowed(sources: Sources, after: int, faults: list[str]) -> None:
    """A draft sent at the end of the allowed time after the lead's first reply is not found; a second later it is.

    Automatic replies, replies without a verdict and replies of unknown leads are no stops.
    """
    sources.add_reply(50)
    sources.add_reply(10)
    sources.add_reply(-900, automatic=True)
    sources.add_reply(-900, automatic=None)
    sources.add_reply(-900, lead=None)
    sources.drafts.append({"id": "two", "leadId": "lead", "sentAt": iso(9999)})
    sources.ledger.append(sources.mail("two", 10 + IN_FLIGHT + after, to="ada@example.org"))
    assert sources.reconcile().sends_after_stop == faults


def test_a_send_that_was_recorded_late_is_allowed(sources: Sources) -> None:
    """A mail that was accepted before the reply to it is not found, however late its acceptance was recorded."""
    sources.drafts[0]["sentAt"] = iso(9999)
    sources.add_reply(10)
    assert sources.reconcile().sends_after_stop == []
