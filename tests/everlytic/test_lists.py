"""Which pages the client asks for, which rows it gives, and how a list ends."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qs

import httpx
import pytest

from everlytic import errors
from everlytic.client import EverlyticClient

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
    """Lists pages of rows (an id and a second after noon each); `following` says which page each page names next."""

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
    def asked_for(self) -> list[int]:
        """The numbers of the pages that were asked for, in order."""
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
        """The product's client, wired to this provider."""
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        url = "https://provider.example"
        return EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")

    def listed(self, **bounds: Any) -> AsyncIterator[Identified]:
        """Start to read the list."""
        rows: AsyncIterator[Identified] = getattr(self.client(), f"iter_{self.kind}")(**bounds)
        return rows


async def ids(rows: AsyncIterator[Identified], into: list[str] | None = None) -> list[str]:
    """Read a list to its end and return its ids; `into` keeps those that came before an error."""
    read = [] if into is None else into
    async for row in rows:
        read.append(str(row.id))
    return read


@pytest.mark.parametrize("kind", FIRST_PAGE)
async def test_a_list_is_asked_for_newest_first(kind: str) -> None:
    """The first page is asked for with 100 rows a page and, where the list has times, in descending order."""
    provider = Provider(kind, [[]])
    assert await ids(provider.listed()) == []
    assert provider.queries == [FIRST_PAGE[kind]]


async def test_filters_are_sent_with_the_first_page() -> None:
    """A group, a status and an event type are each sent in both spellings; the page size is the caller's."""
    provider = Provider("transactions", [[]])
    await ids(provider.listed(group_name="g", send_status="failed", page_size=7))
    assert provider.queries[0] == FIRST_PAGE["transactions"] | {
        "count": "7",
        "trans_group_name": "g",
        "filters[trans_group_name]": "g",
        "send_status": "failed",
        "filters[send_status]": "failed",
    }
    provider = Provider("callback_events", [[]])
    await ids(provider.listed(event_type="open", page_size=7))
    assert provider.queries[0] == FIRST_PAGE["callback_events"] | {
        "count": "7",
        "event_type": "open",
        "filters[event_type]": "open",
    }


@pytest.mark.parametrize("kind", LISTS)
async def test_a_window_includes_its_first_second_and_excludes_its_last(kind: str) -> None:
    """Rows one second before, at and after each bound of the window; a row without a time is always given."""
    rows = [("61", 61), ("60", 60), ("59", 59), ("1", 1), ("0", 0), ("-1", -1), ("undated", None)]
    bounds = {"since": NOON, "until": NOON + timedelta(seconds=60)}
    assert await ids(Provider(kind, [rows]).listed(**bounds)) == ["59", "1", "0", "undated"]
    assert await ids(Provider(kind, [rows]).listed(since=NOON)) == ["61", "60", "59", "1", "0", "undated"]
    assert await ids(Provider(kind, [rows]).listed(until=NOON)) == ["-1", "undated"]


@pytest.mark.parametrize("kind", LISTS)
async def test_pages_after_the_first_one_before_the_window_are_not_asked_for(kind: str) -> None:
    """A page that begins with the window's first second is followed; one that begins a second earlier is the last."""
    pages = [[("a", 9), ("b", 5)], [("c", 0), ("d", -1)], [("e", -1), ("f", -2)], [("g", -3), ("h", -4)]]
    provider = Provider(kind, pages)
    assert await ids(provider.listed(since=NOON)) == ["a", "b", "c"]
    assert provider.asked_for == [1, 2, 3]


async def test_the_search_for_a_header_reads_back_as_far_as_it_may() -> None:
    """A match ends the search on its page; without one it ends with the first page before `since`, or the last page."""
    pages = [[("a", 9), ("b", 5)], [("c", 0), ("d", -1)], [("e", -1), ("f", -2)], [("g", -3), ("h", -4)]]
    for name, since, asked_for in (("d", NOON, [1, 2]), ("g", NOON, [1, 2, 3]), ("g", None, [1, 2, 3, 4])):
        provider = Provider("transactions", pages)
        transaction = await provider.client().find_transaction_by_custom_header("X-Name", name, since=since)
        assert (transaction and transaction.id) == (None if (name, since) == ("g", NOON) else name)
        assert provider.asked_for == asked_for
    assert provider.queries[0] == FIRST_PAGE["transactions"] | {
        "custom_headers[X-Name]": "g",
        "filters[custom_headers][X-Name]": "g",
    }


@pytest.mark.parametrize("kind", FIRST_PAGE)
async def test_a_repeated_page_gives_its_rows_again_and_an_empty_one_ends_nothing(kind: str) -> None:
    """The same rows on two pages come twice, an empty page in the middle is passed, and the last page is the end."""
    provider = Provider(kind, [[("a", 2)], [("a", 2)], [], [("b", 1)], [("b", 1)]])
    assert await ids(provider.listed()) == ["a", "a", "b", "b"]
    assert provider.asked_for == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", FIRST_PAGE)
@pytest.mark.parametrize(
    ("following", "read"),
    [({1: 1}, ["a"]), ({1: 2, 2: 1}, ["a", "b"]), ({1: 2, 2: 3, 3: 2}, ["a", "b", "c"]), ({1: 2, 2: 2}, ["a", "b"])],
)
async def test_a_page_is_asked_for_once(kind: str, following: dict[int, int], read: list[str]) -> None:
    """A next link to the same page, the first one or an earlier one is an error after the rows read so far."""
    provider = Provider(kind, [[("a", 3)], [("b", 2)], [("c", 1)]], following)
    rows: list[str] = []
    with pytest.raises(errors.UnrecognisedAnswer, match="already read"):
        await ids(provider.listed(), rows)
    assert rows == read
    assert provider.asked_for == list(range(1, len(read) + 1))


@pytest.mark.parametrize("kind", FIRST_PAGE)
async def test_an_unreadable_row_is_told_where_the_caller_listens(kind: str) -> None:
    """With `complain` the other rows of the page come and the row is told; without it the list ends with an error."""
    provider = Provider(kind, [[("a", 1)]])

    def spoiled(request: httpx.Request) -> httpx.Response:
        body = httpx.Response(200, content=provider(request).content).json()
        return httpx.Response(200, json=body | {"collection": [7, *body["collection"]]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(spoiled)) as http:
        url = "https://provider.example"
        client = EverlyticClient(http, transactional_url=url, tenant_url=url, username="u", api_key="k")
        read = getattr(client, f"iter_{kind}")
        complaints: list[str] = []
        assert await ids(read(complain=complaints.append)) == ["a"]
        assert complaints == ["An item that is no object was left out."]
        with pytest.raises(errors.UnrecognisedAnswer):
            await ids(read())
