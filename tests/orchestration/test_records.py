"""What becomes of the provider's records: which are asked for, what is kept, and each bound of what is kept."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from everlytic.client import EverlyticClient
from orchestration.defs.everlytic.records import (
    Fetch,
    Window,
    as_json,
    as_text,
    fetch_callback_events,
    fetch_campaign_reports,
    fetch_transactions,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MIDNIGHT = NOW.replace(hour=0)
TODAY = Window(since=MIDNIGHT, until=MIDNIGHT + timedelta(days=1), now=NOW)


class Provider:
    """Lists rows, has reports of the emails named in `reports`, and remembers the paths it was asked for."""

    def __init__(self, rows: Sequence[dict[str, Any]], reports: Sequence[str] = ()) -> None:
        self.rows, self.reports = rows, reports
        self.paths: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/2.0/")
        self.paths.append(path)
        if not path.startswith("email_reports/"):
            return httpx.Response(200, json={"links": [], "collection": [{"data": row} for row in self.rows]})
        if path.rpartition("/")[2] in self.reports:
            return httpx.Response(200, json={"item": {"email_message_count": 7}})
        return httpx.Response(404, json={"error": {"code": "404"}})

    def fetch(self, fetch: Fetch, window: Window = TODAY) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the rows that a fetch gives, and its complaints."""

        async def read() -> tuple[list[dict[str, Any]], list[str]]:
            complaints: list[str] = []
            url = "https://provider.example/api/2.0"
            async with httpx.AsyncClient(transport=httpx.MockTransport(self)) as http:
                client = EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")
                return [row async for row in fetch(client, window, complaints.append)], complaints

        return asyncio.run(read())


def seconds(moment: datetime) -> int:
    """A moment as the provider writes it."""
    return int(moment.timestamp())


TOO_LARGE = "An item was kept without what cannot be read: a count that is too large."


@pytest.mark.parametrize(
    ("count", "kept"),
    [
        *((0, 0), (1, 1), (-1, -1), (2**31 - 2, 2**31 - 2), (2**31 - 1, 2**31 - 1), (2**31, None)),
        *((-(2**31) + 1, -(2**31) + 1), (-(2**31), None)),
    ],
)
def test_a_count_is_kept_if_its_column_holds_it(count: int, kept: int | None) -> None:
    """2,147,483,647 is the largest count that is kept; one more is left out and told, for opens and for clicks."""
    rows, complaints = Provider([{"id": "a", "opens": count, "link_clicks": count}]).fetch(fetch_transactions)
    assert [(row["opens"], row["link_clicks"]) for row in rows] == [(kept, kept)]
    assert complaints == [TOO_LARGE] * (0 if kept is not None else 2)


@pytest.mark.parametrize(
    ("fetch", "id_name", "time_name"),
    [(fetch_transactions, "id", "send_date"), (fetch_callback_events, "event_id", "event_date")],
)
def test_a_window_is_a_day_without_its_last_midnight(fetch: Fetch, id_name: str, time_name: str) -> None:
    """Rows of the first second, the last second and of no time are given; the seconds before and after are not."""
    moments = [TODAY.until, TODAY.until - timedelta(seconds=1), TODAY.since, TODAY.since - timedelta(seconds=1)]
    rows = [
        {id_name: str(number), time_name: seconds(moment), "event_type": "open", "email_to": "a@b.example"}
        for number, moment in enumerate(moments)
    ]
    undated = {id_name: "undated", time_name: None, "event_type": "open"}
    fetched, complaints = Provider([*rows, undated]).fetch(fetch)
    times = [row["sent_at"] if "sent_at" in row else row["occurred_at"] for row in fetched]
    assert times == [moments[1], moments[2], None if fetch is fetch_transactions else NOW]
    assert complaints == []


def test_a_transaction_keeps_what_it_says_under_our_names() -> None:
    """Each column is filled from its own field, and what was said is kept whole."""
    said = {
        "id": 7,
        "custom_headers": {"X-SalesMatter-Draft": ["draft"]},
        "trans_group_name": "group",
        "send_email_to": "to@b.example",
        "send_email_from": "from@b.example",
        "send_status": "failed",
        "send_date": seconds(NOW),
        "opens": 1,
        "link_clicks": 2,
        "bounce_type": "hard",
        "bounce_reason": "full",
    }
    ((row,), _) = Provider([said]).fetch(fetch_transactions)
    assert row == {
        "transaction_id": "7",
        "message_id": "draft",
        "group_name": "group",
        "recipient": "to@b.example",
        "send_status": "failed",
        "sent_at": NOW,
        "opens": 1,
        "link_clicks": 2,
        "bounce_type": "hard",
        "bounce_reason": "full",
        "raw": as_json(said),
    }


@pytest.mark.parametrize(
    ("first", "last", "is_polled"), [(-2, -1, False), (-1, 0, True), (0, 0, True), (0, 1, True), (1, 2, False)]
)
def test_reports_are_polled_where_the_days_include_today(first: int, last: int, is_polled: bool) -> None:
    """Days that end yesterday or begin tomorrow have no report, and nothing is asked; days with today have today's."""
    window = Window(since=MIDNIGHT + timedelta(days=first), until=MIDNIGHT + timedelta(days=last + 1), now=NOW)
    provider = Provider([{"id": 1, "status": "sent"}], ["1"])
    rows, _ = provider.fetch(fetch_campaign_reports, window)
    assert [row["reported_on"] for row in rows] == [NOW.date()] * is_polled
    assert provider.paths == ["emails", "email_reports/1"] * is_polled


def test_an_email_without_a_report_is_passed() -> None:
    """Of four emails the one being composed is not asked about, and one without a report hides none after it."""
    emails: list[dict[str, Any]] = [
        {"id": 1, "status": "composing"},
        {"id": 2, "status": "sending", "campaign_name": "News"},
        {"id": 3, "status": "sent", "subject": "Hello"},
        {"id": 4, "status": None},
    ]
    provider = Provider(emails, ["1", "3", "4"])
    rows, _ = provider.fetch(fetch_campaign_reports)
    assert [(row["email_id"], row["name"]) for row in rows] == [("3", "Hello"), ("4", "Bulk email 4")]
    assert provider.paths == ["emails", "email_reports/2", "email_reports/3", "email_reports/4"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (None, None),
        ("", ""),
        ("\0", ""),
        ("a\0b", "ab"),
        ("\0é\0", "é"),
        ("\ud800", "?"),
        ("é", "é"),
        ("\x7f\x01", "\x7f\x01"),
    ],
)
def test_a_text_loses_what_postgres_refuses_and_nothing_else(text: str | None, kept: str | None) -> None:
    """A NUL is left out wherever it stands, half of a pair becomes a question mark, all else stays."""
    assert as_text(text) == kept


@pytest.mark.parametrize("slashes", range(6))
def test_an_escaped_nul_is_told_from_a_backslash_and_its_letters(slashes: int) -> None:
    """A text of backslashes before "u0000" stays whole; a NUL after as many backslashes is left out."""
    before = "\\" * slashes
    assert as_json({"a": f"{before}u0000"}) == '{"a": "' + "\\\\" * slashes + 'u0000"}'
    assert as_json({"a": f"{before}\0"}) == '{"a": "' + "\\\\" * slashes + '"}'


def test_a_number_that_json_lacks_is_null() -> None:
    """Infinite numbers and NaN, at any depth, become null beside numbers that stay."""
    value = {"a": [float("inf"), 1.5, {"b": (float("nan"), float("-inf"))}], "c": float("nan")}
    assert as_json(value) == '{"a": [null, 1.5, {"b": [null, null]}], "c": null}'
