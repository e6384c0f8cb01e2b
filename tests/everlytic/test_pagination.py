"""Tests which pages the client requests, which rows it yields, and where a list ends."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qs

import httpx
import pytest

from everlytic import errors
from everlytic.client import EverlyticClient, ListLimits

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FIRST_PAGE = {
    "transactions": {"page": "1", "count": "100", "order": "send_date", "direction": "desc"},
    "callback_events": {"page": "1", "count": "100", "order": "event_date", "direction": "desc"},
    "bulk_emails": {"page": "1", "count": "100"},
}
LISTS = ["transactions", "callback_events"]


class Identified(Protocol):
    """A row of any list."""

    @property
    def id(self) -> str | None: ...


class Provider:
    """Serves pages of rows, each an id and a second after noon; `following` maps a page to its next page."""

    def __init__(
        self,
        kind: str,
        pages: Sequence[Sequence[tuple[str, int | None]]],
        following: dict[int, int] | None = None,
    ) -> None:
        self.kind = kind
        self.pages = pages
        self.following = {n: n + 1 for n in range(1, len(pages))} if following is None else following
        self.queries: list[dict[str, str]] = []

    @property
    def requested_pages(self) -> list[int]:
        """The numbers of the requested pages, in order."""
        return [int(query["page"]) for query in self.queries]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = {name: texts[-1] for name, texts in parse_qs(request.url.query.decode()).items()}
        self.queries.append(query)
        number = int(query["page"])
        links = [{"rel": "self", "href": str(request.url)}]
        if number in self.following:
            href = str(request.url.copy_set_param("page", self.following[number]))
            links.append({"rel": "next", "href": href})
        rows = [{"data": self._row(*row)} for row in self.pages[number - 1]]
        return httpx.Response(200, json={"links": links, "collection": rows})

    def _row(self, name: str, second: int | None) -> dict[str, Any]:
        moment = None if second is None else int(NOON.timestamp()) + second
        if self.kind == "callback_events":
            return {"event_id": name, "event_type": "open", "event_date": moment}
        return {"id": name, "send_date": moment, "custom_headers": {"X-Name": name}}

    def client(self) -> EverlyticClient:
        """Return a client connected to this provider."""
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        url = "https://provider.example"
        return EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")

    def iterate(self, **bounds: Any) -> AsyncIterator[Identified]:
        """Return an iterator over the list."""
        rows: AsyncIterator[Identified] = getattr(self.client(), f"iter_{self.kind}")(**bounds)
        return rows


async def ids(rows: AsyncIterator[Identified], into: list[str] | None = None) -> list[str]:
    """Read a list to its end and return its ids; `into` has those read before an error."""
    row_ids = [] if into is None else into
    async for row in rows:
        row_ids.append(str(row.id))
    return row_ids


@pytest.mark.parametrize("kind", FIRST_PAGE)
async def test_a_list_is_requested_newest_first(kind: str) -> None:
    """The first request asks for 100 rows a page and, for lists with times, for descending order."""
    provider = Provider(kind, [[]])
    assert await ids(provider.iterate()) == []
    assert provider.queries == [FIRST_PAGE[kind]]


async def test_filters_are_sent_with_the_first_page() -> None:
    """A group, a status and an event type are each sent in both forms, with the caller's page size."""
    provider = Provider("transactions", [[]])
    await ids(provider.iterate(group_name="g", send_status="failed", page_size=7))
    assert provider.queries[0] == FIRST_PAGE["transactions"] | {
        "count": "7",
        "trans_group_name": "g",
        "filters[trans_group_name]": "g",
        "send_status": "failed",
        "filters[send_status]": "failed",
    }
    provider = Provider("callback_events", [[]])
    await ids(provider.iterate(event_type="open", page_size=7))
    assert provider.queries[0] == FIRST_PAGE["callback_events"] | {
        "count": "7",
        "event_type": "open",
        "filters[event_type]": "open",
    }


@pytest.mark.parametrize("kind", LISTS)
async def test_a_time_window_includes_since_and_excludes_until(kind: str) -> None:
    """Rows at `since` are yielded and rows at `until` are not; a row without a time is always yielded."""
    rows = [("61", 61), ("60", 60), ("59", 59), ("1", 1), ("0", 0), ("-1", -1), ("undated", None)]
    bounds = {"since": NOON, "until": NOON + timedelta(seconds=60)}
    assert await ids(Provider(kind, [rows]).iterate(**bounds)) == ["59", "1", "0", "undated"]
    assert await ids(Provider(kind, [rows]).iterate(since=NOON)) == ["61", "60", "59", "1", "0", "undated"]
    assert await ids(Provider(kind, [rows]).iterate(until=NOON)) == ["-1", "undated"]


@pytest.mark.parametrize("kind", LISTS)
async def test_pages_before_the_time_window_are_not_requested(kind: str) -> None:
    """The first page that starts before `since` is the last one requested; one that starts at `since` is not."""
    pages = [[("a", 9), ("b", 5)], [("c", 0), ("d", -1)], [("e", -1), ("f", -2)], [("g", -3), ("h", -4)]]
    provider = Provider(kind, pages)
    assert await ids(provider.iterate(since=NOON)) == ["a", "b", "c"]
    assert provider.requested_pages == [1, 2, 3]


async def test_the_search_for_a_header_ends_at_a_match_or_at_since() -> None:
    """The search ends on the page of a match, on the first page before `since`, or on the last page."""
    pages = [[("a", 9), ("b", 5)], [("c", 0), ("d", -1)], [("e", -1), ("f", -2)], [("g", -3), ("h", -4)]]
    for name, since, pages_read in (("d", NOON, [1, 2]), ("g", NOON, [1, 2, 3]), ("g", None, [1, 2, 3, 4])):
        provider = Provider("transactions", pages)
        transaction = await provider.client().find_transaction_by_custom_header("X-Name", name, since=since)
        assert (transaction and transaction.id) == (None if (name, since) == ("g", NOON) else name)
        assert provider.requested_pages == pages_read
    assert provider.queries[0] == FIRST_PAGE["transactions"] | {
        "custom_headers[X-Name]": "g",
        "filters[custom_headers][X-Name]": "g",
    }


@pytest.mark.parametrize("kind", FIRST_PAGE)
async def test_repeated_rows_and_empty_pages_do_not_end_a_list(kind: str) -> None:
    """Rows on two pages are yielded twice, and an empty page in the middle is skipped."""
    provider = Provider(kind, [[("a", 2)], [("a", 2)], [], [("b", 1)], [("b", 1)]])
    assert await ids(provider.iterate()) == ["a", "a", "b", "b"]
    assert provider.requested_pages == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", FIRST_PAGE)
@pytest.mark.parametrize(
    ("following", "read"),
    [({1: 1}, ["a"]), ({1: 2, 2: 1}, ["a", "b"]), ({1: 2, 2: 3, 3: 2}, ["a", "b", "c"]), ({1: 2, 2: 2}, ["a", "b"])],
)
async def test_a_page_is_requested_once(kind: str, following: dict[int, int], read: list[str]) -> None:
    """A next link to a page that was already read raises an error after the rows read so far."""
    provider = Provider(kind, [[("a", 3)], [("b", 2)], [("c", 1)]], following)
    rows: list[str] = []
    with pytest.raises(errors.UnrecognisedResponse, match="already read"):
        await ids(provider.iterate(), rows)
    assert rows == read
    assert provider.requested_pages == list(range(1, len(read) + 1))


@pytest.mark.parametrize("kind", FIRST_PAGE)
async def test_an_unreadable_row_is_reported_or_an_error(kind: str) -> None:
    """With `report_unreadable` the row is reported and the others are yielded; without it the list raises."""
    provider = Provider(kind, [[("a", 1)]])

    def add_invalid_row(request: httpx.Request) -> httpx.Response:
        body = httpx.Response(200, content=provider(request).content).json()
        return httpx.Response(200, json=body | {"collection": [7, *body["collection"]]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(add_invalid_row)) as http:
        url = "https://provider.example"
        client = EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")
        read = getattr(client, f"iter_{kind}")
        reports: list[str] = []
        assert await ids(read(report_unreadable=reports.append)) == ["a"]
        assert reports == ["Skipped an item that is not an object."]
        with pytest.raises(errors.UnrecognisedResponse):
            await ids(read())


@pytest.mark.parametrize("pages", [4, 5, 6])
async def test_the_limit_of_pages(pages: int) -> None:
    """A list is read up to the limit of pages; a longer one raises ListTooLong after its last page is yielded."""
    provider = Provider("transactions", [[(str(number), -number)] for number in range(pages)])
    async with httpx.AsyncClient(transport=httpx.MockTransport(provider)) as http:
        url, limits = "https://provider.example", ListLimits(pages=5)
        client = EverlyticClient(
            http, transactional_url=url, tenant_url=url, username="u", api_key="k", list_limits=limits
        )
        ids: list[str | None] = []

        async def read() -> None:
            async for transaction in client.iter_transactions():
                ids.append(transaction.id)  # noqa: PERF401 - what was read before the error counts

        if pages <= limits.pages:
            await read()
        else:
            with pytest.raises(errors.ListTooLong, match="within 5 pages"):
                await read()
    assert ids == [str(number) for number in range(min(pages, limits.pages))]
    assert len(provider.queries) == min(pages, limits.pages)


@pytest.mark.parametrize("is_lookup", [True, False])
async def test_a_list_that_never_ends(is_lookup: bool) -> None:
    """A search in a list without end raises an error after the limit, and never says that there is no such mail."""
    requests: list[int] = []

    def serve(request: httpx.Request) -> httpx.Response:
        requests.append(1)
        following = {"rel": "next", "href": str(request.url.copy_set_param("page", len(requests) + 1))}
        return httpx.Response(200, json={"links": [following], "collection": []})

    async with httpx.AsyncClient(transport=httpx.MockTransport(serve)) as http:
        url = "https://provider.example"
        client = EverlyticClient(
            http, transactional_url=url, tenant_url=url, username="u", api_key="k", list_limits=ListLimits(pages=7)
        )

        async def read() -> None:
            async for _ in client.iter_callback_events():
                pass

        with pytest.raises(errors.ListTooLong):
            await (client.find_transaction_by_custom_header("X-Id", "1") if is_lookup else read())
    assert len(requests) == 7


async def test_a_list_that_takes_long() -> None:
    """A list whose pages take longer than allowed together is given up."""
    provider = Provider("transactions", [[("1", 0)], [("2", -1)]])
    async with httpx.AsyncClient(transport=httpx.MockTransport(provider)) as http:
        url, limits = "https://provider.example", ListLimits(seconds=0.0)
        client = EverlyticClient(
            http, transactional_url=url, tenant_url=url, username="u", api_key="k", list_limits=limits
        )
        with pytest.raises(errors.ListTooLong, match="within 0 seconds"):
            _ = [transaction async for transaction in client.iter_transactions()]
    assert len(provider.queries) == 1
