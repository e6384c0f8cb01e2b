"""Tests of how the provider's records are mapped to rows, with the limits of each column."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from everlytic.client import EverlyticClient
from orchestration.defs.everlytic.records import (
    FetchRows,
    PollWindow,
    fetch_callback_events,
    fetch_campaign_reports,
    fetch_transactions,
    to_postgres_json,
    to_postgres_text,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MIDNIGHT = NOW.replace(hour=0)
TODAY = PollWindow(since=MIDNIGHT, until=MIDNIGHT + timedelta(days=1), now=NOW)


class Provider:
    """Lists rows, has reports of the emails in `reports`, and records the requested paths."""

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

    def fetch(self, fetch: FetchRows, window: PollWindow = TODAY) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the fetched rows and the reported problems."""

        async def read() -> tuple[list[dict[str, Any]], list[str]]:
            problems: list[str] = []
            url = "https://provider.example/api/2.0"
            async with httpx.AsyncClient(transport=httpx.MockTransport(self)) as http:
                client = EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")
                return [row async for row in fetch(client, window, problems.append)], problems

        return asyncio.run(read())


def to_seconds(moment: datetime) -> int:
    """Return a time in the provider's format."""
    return int(moment.timestamp())


TOO_LARGE = "Kept an item without a count that is too large."


@pytest.mark.parametrize(
    ("count", "stored"),
    [
        *((0, 0), (1, 1), (-1, -1), (2**31 - 2, 2**31 - 2), (2**31 - 1, 2**31 - 1), (2**31, None)),
        *((-(2**31) + 1, -(2**31) + 1), (-(2**31), None)),
    ],
)
def test_a_count_is_stored_if_it_fits_its_column(count: int, stored: int | None) -> None:
    """2,147,483,647 is the largest count that is stored; a larger one is reported and null, for opens and clicks."""
    rows, problems = Provider([{"id": "a", "opens": count, "link_clicks": count}]).fetch(fetch_transactions)
    assert [(row["opens"], row["link_clicks"]) for row in rows] == [(stored, stored)]
    assert problems == [TOO_LARGE] * (0 if stored is not None else 2)


@pytest.mark.parametrize(
    ("fetch", "id_name", "time_name"),
    [(fetch_transactions, "id", "send_date"), (fetch_callback_events, "event_id", "event_date")],
)
def test_a_window_excludes_its_end(fetch: FetchRows, id_name: str, time_name: str) -> None:
    """Rows of the first second, of the last second and without a time are fetched; the seconds around are not."""
    times = [TODAY.until, TODAY.until - timedelta(seconds=1), TODAY.since, TODAY.since - timedelta(seconds=1)]
    rows = [
        {id_name: str(number), time_name: to_seconds(time), "event_type": "open", "email_to": "a@b.example"}
        for number, time in enumerate(times)
    ]
    undated = {id_name: "undated", time_name: None, "event_type": "open"}
    fetched, problems = Provider([*rows, undated]).fetch(fetch)
    fetched_times = [row["sent_at"] if "sent_at" in row else row["occurred_at"] for row in fetched]
    assert fetched_times == [times[1], times[2], None if fetch is fetch_transactions else NOW]
    assert problems == []


def test_each_field_of_a_transaction_goes_to_its_column() -> None:
    """Each column is filled from its own field, and `raw` holds the whole record."""
    record = {
        "id": 7,
        "custom_headers": {"X-SalesMatter-Draft": ["draft"]},
        "trans_group_name": "group",
        "send_email_to": "to@b.example",
        "send_email_from": "from@b.example",
        "send_status": "failed",
        "send_date": to_seconds(NOW),
        "opens": 1,
        "link_clicks": 2,
        "bounce_type": "hard",
        "bounce_reason": "full",
    }
    ((row,), _) = Provider([record]).fetch(fetch_transactions)
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
        "raw": to_postgres_json(record),
    }


@pytest.mark.parametrize(
    ("first", "last", "is_polled"), [(-2, -1, False), (-1, 0, True), (0, 0, True), (0, 1, True), (1, 2, False)]
)
def test_reports_are_polled_if_the_days_include_today(first: int, last: int, is_polled: bool) -> None:
    """Without today in the range there is no request; with it, today's reports are fetched."""
    window = PollWindow(since=MIDNIGHT + timedelta(days=first), until=MIDNIGHT + timedelta(days=last + 1), now=NOW)
    provider = Provider([{"id": 1, "status": "sent"}], ["1"])
    rows, _ = provider.fetch(fetch_campaign_reports, window)
    assert [row["reported_on"] for row in rows] == [NOW.date()] * is_polled
    assert provider.paths == ["emails", "email_reports/1"] * is_polled


def test_an_email_without_a_report_is_skipped() -> None:
    """An email in status composing is not requested, and one without a report does not stop the others."""
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
    ("text", "stored"),
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
def test_text_loses_only_what_postgres_refuses(text: str | None, stored: str | None) -> None:
    """A NUL is removed, a lone surrogate becomes a question mark, and other characters stay."""
    assert to_postgres_text(text) == stored


@pytest.mark.parametrize("slashes", range(6))
def test_an_escaped_nul_is_distinguished_from_a_backslash_and_text(slashes: int) -> None:
    """Backslashes before the text "u0000" stay; a NUL after the same number of backslashes is removed."""
    before = "\\" * slashes
    assert to_postgres_json({"a": f"{before}u0000"}) == '{"a": "' + "\\\\" * slashes + 'u0000"}'
    assert to_postgres_json({"a": f"{before}\0"}) == '{"a": "' + "\\\\" * slashes + '"}'


def test_a_number_that_json_lacks_is_null() -> None:
    """Infinite numbers and NaN, at any depth, become null beside numbers that stay."""
    value = {"a": [float("inf"), 1.5, {"b": (float("nan"), float("-inf"))}], "c": float("nan")}
    assert to_postgres_json(value) == '{"a": [null, 1.5, {"b": [null, null]}], "c": null}'
