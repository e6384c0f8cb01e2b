"""When the demo says that all sides agree and nobody was mailed after a stop, figure by figure and stop by stop."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import pytest

from salesmatter.demo.http_client import HttpClient
from salesmatter.demo.judgement import FIGURES
from salesmatter.demo.reconciliation import Reconciliation, reconcile
from tests.ai.threaded import serving

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
IN_FLIGHT = 100.0


def iso(seconds: float) -> str:
    """A moment after noon as the API writes it."""
    return datetime.fromtimestamp(NOON + seconds, UTC).isoformat()


class Record:
    """One mail to ada@example.test, sent at noon as the message `one`, and what each side says of it."""

    def __init__(self) -> None:
        self.ledger: list[dict[str, Any]] = [self.mail("one", 0)]
        self.drafts: list[dict[str, Any]] = [{"id": "one", "leadId": "lead", "sentAt": iso(0)}]
        self.replies: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.campaign = dict.fromkeys(FIGURES, 0) | {"sent": 1}

    @staticmethod
    def mail(message_id: str, accepted: float, to: str = "ada@example.test") -> dict[str, Any]:
        """A mail as the sandbox has taken it."""
        return {"message_id": message_id, "to": to, "accepted_at": NOON + accepted, "events": {}}

    def heard(self, kind: str, delivered: float | None, **data: str) -> None:
        """Let something happen to the first mail, and be told of at a second after noon, or not at all."""
        at = None if delivered is None else NOON + delivered
        told = {"occurred_at": NOON + (delivered or 0), "delivered_at": at, "data": data}
        self.ledger[0]["events"].setdefault(kind, []).append(told)

    def reply(self, seconds: float, automatic: bool | None = False, lead: str | None = "lead") -> None:
        """Let the recipient answer."""
        self.replies.append(
            {"draftId": "one", "leadId": lead, "isAutomatic": automatic, "receivedAt": iso(seconds), "id": "r"}
        )

    def reconciled(self) -> Reconciliation:
        """Ask all sides."""
        with self._served() as url, HttpClient(url) as client:
            return reconcile(client, client, workspace="w", sequence="s", username="u", in_flight=IN_FLIGHT)

    @contextmanager
    def _served(self) -> Iterator[str]:
        lists = {"drafts": self.drafts, "replies": self.replies, "events": self.events}
        answers: dict[str, object] = {
            f"/api/workspaces/w/{name}": {"items": items, "nextCursor": None} for name, items in lists.items()
        }
        answers |= {"/__sandbox__/ledger": self.ledger, "/api/metrics/w/campaigns/s": self.campaign}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(answers[urlsplit(self.path).path]).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        with serving(Handler) as url:
            yield url


@pytest.fixture
def record() -> Record:
    """All sides agree on one mail that was sent."""
    return Record()


def test_sides_that_agree_agree(record: Record) -> None:
    """One mail, sent on all sides and nothing more, agrees."""
    assert record.reconciled().agrees


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("side", ["sandbox", "operational", "marts"])
def test_one_figure_of_one_side_is_enough_to_differ(figure: str, side: str) -> None:
    """Whichever figure differs on whichever side, the sides do not agree."""
    sides = {name: dict.fromkeys(FIGURES, 3) for name in ("sandbox", "operational", "marts")}
    assert Reconciliation(**sides, mailed_after_stop=[]).agrees
    sides[side][figure] += 1
    assert not Reconciliation(**sides, mailed_after_stop=[]).agrees


def test_a_mail_after_a_stop_is_enough_to_differ() -> None:
    """Equal figures do not outweigh a mail to somebody who had said stop."""
    sides = {name: dict.fromkeys(FIGURES, 3) for name in ("sandbox", "operational", "marts")}
    assert not Reconciliation(**sides, mailed_after_stop=["ada@example.test"]).agrees


def test_each_side_counts_what_it_was_told(record: Record) -> None:
    """What the sandbox did and what our record holds come to the same figures, in the words of either."""
    for kind, ours, data in (
        ("delivered", "delivered", {}),
        ("open", "opened", {}),
        ("click", "clicked", {}),
        ("one_click", "unsubscribed", {}),
        ("resubscribe", None, {}),
        ("bounce", "bounced", {"bounce_type": "soft"}),
    ):
        second = 0 if kind == "bounce" else 9
        record.heard(kind, second, **data)
        if ours:
            at = iso(second)
            record.events.append({"id": kind, "draftId": "one", "type": ours, "occurredAt": at, "data": data})
    record.events.append({"id": "x", "draftId": "another", "type": "bounced", "occurredAt": iso(9), "data": {}})
    record.heard("reply", 9, reply_kind="question")
    record.heard("reply", 9, reply_kind="out_of_office")
    record.reply(9)
    record.reply(9, automatic=True)
    result = record.reconciled()
    expected = dict.fromkeys(FIGURES, 1) | {"bounced": 0}
    assert result.sandbox == result.operational == expected
    assert result.marts == record.campaign


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
def test_a_mail_after_a_stop_that_we_were_told_of_is_found(
    record: Record, kind: str, data: dict[str, str], is_stop: bool
) -> None:
    """A second mail, in flight for longer than it may be, is found after each kind of stop and after nothing else."""
    record.heard(kind, 0, **data)
    record.ledger.append(record.mail("two", IN_FLIGHT + 1, "ADA@example.test"))
    record.ledger.append(record.mail("other", IN_FLIGHT + 1, "ben@example.test"))
    said = ["ada@example.test was mailed 0.0 h after a stop that Everlytic had told us of"]
    assert record.reconciled().mailed_after_stop == (said if is_stop else [])


@pytest.mark.parametrize(("after", "found"), [(-1, 0), (0, 0), (1, 1)])
def test_a_mail_may_be_in_flight_when_a_stop_arrives(record: Record, after: int, found: int) -> None:
    """A mail taken as long after a stop as a flight may last is not found; one taken a second later is.

    The earliest of several stops counts, and one that was never told of does not.
    """
    record.heard("unsubscribe", 50)
    record.heard("complaint", 10)
    record.heard("one_click", None)
    record.ledger.append(record.mail("two", 10 + IN_FLIGHT + after))
    assert len(record.reconciled().mailed_after_stop) == found


@pytest.mark.parametrize(("after", "found"), [(-1, []), (0, []), (1, ["lead lead was mailed after their reply"])])
def test_a_draft_may_be_in_flight_when_a_reply_arrives(record: Record, after: int, found: list[str]) -> None:
    """A draft sent as long after its lead's first reply as a flight may last is not found; a second later it is.

    Automatic replies, replies that nobody has judged and replies of nobody we know stop nothing.
    """
    record.reply(50)
    record.reply(10)
    record.reply(-900, automatic=True)
    record.reply(-900, automatic=None)
    record.reply(-900, lead=None)
    record.drafts.append({"id": "two", "leadId": "lead", "sentAt": iso(10 + IN_FLIGHT + after)})
    assert record.reconciled().mailed_after_stop == found
