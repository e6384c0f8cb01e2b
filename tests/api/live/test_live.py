import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from ai.settings import AiSettings
from api.app import create_app
from api.http.resources import Services
from api.live.streaming import LiveQueries, Pace
from api.server import Server
from api.settings import ApiSettings
from database.roles import libpq_url, owner_url
from tests.api.importing import Imports, Worker, in_blocks
from tests.business_clock import BUSINESS_NOW

pytestmark = [pytest.mark.anyio, pytest.mark.own_app]

SOON = 30.0
NOT_YET = 0.3
STREAM = {"Accept": "text/event-stream"}


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    id: str | None
    event: str | None
    data: str

    @property
    def result(self) -> Any:
        """The parsed data of the event."""
        return json.loads(self.data)


class EndOfStream(Exception):
    """The server has ended the stream with a complete response."""


class Stream:
    """A client that reads one stream of events."""

    def __init__(self, response: httpx.Response) -> None:
        self.response, self._lines = response, response.aiter_lines()
        self.silent_lines: list[str] = []

    async def next(self, within: float = SOON) -> Event:
        """Return the next event; TimeoutError when there is none in time, EndOfStream at a clean end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(within):
            while "data" not in fields:
                async for line in self._lines:
                    if not line:
                        break
                    self._take(line, fields)
                else:
                    raise EndOfStream
        return Event(fields.get("id"), fields.get("event"), fields["data"])

    def _take(self, line: str, fields: dict[str, str]) -> None:
        name, _, value = line.partition(": ")
        if name in {"id", "event", "data"}:
            fields[name] = value
        else:
            self.silent_lines.append(line)


@dataclass(slots=True)
class Live:
    """A server on a port of its own, and a client of it."""

    app: FastAPI
    server: Server
    serving: asyncio.Task[None]
    http: httpx.AsyncClient

    @contextlib.asynccontextmanager
    async def stream(self, url: str, **headers: str) -> AsyncIterator[Stream]:
        """Subscribe to a URL."""
        sent = {**STREAM, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.http.stream("GET", url, headers=sent) as response:
            yield Stream(response)


@pytest.fixture
async def live(database_url: str, api_settings: ApiSettings, api_key: str) -> AsyncIterator[Live]:
    """Serve over real HTTP, in a process that shares only the database with the app of the other fixtures."""
    app = create_app(api_settings, AiSettings(), owner_url(database_url))
    server = Server(app, host="127.0.0.1", port=0)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    headers = {"Authorization": f"Bearer {api_key}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as http:
        yield Live(app, server, serving, http)
    server.should_exit = True
    await serving


async def until(holds: Callable[[], bool], within: float = SOON) -> None:
    """Poll until a condition holds."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - uvicorn has no event for its start; there is a deadline
            await asyncio.sleep(0.01)


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """An autocommit connection of the owner."""
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url(database_url)), autocommit=True) as connection:
        yield connection


@pytest.fixture
def rename(app_client: httpx.AsyncClient, workspace: str) -> Callable[[str], Awaitable[None]]:
    """Return a call that renames the workspace through another process of the API."""

    async def change(name: str) -> None:
        (await app_client.patch(f"/api/workspaces/{workspace}", json={"name": name})).raise_for_status()

    return change


Rename = Callable[[str], Awaitable[None]]


async def test_a_commit_that_changes_a_result_sends_it(live: Live, workspace: str, rename: Rename) -> None:
    """First the result with its ETag as id, then the changed one; each is what a plain GET returns at that time."""
    url = f"/api/workspaces/{workspace}"
    async with live.stream(url) as stream:
        first = await stream.next()
        plain = await live.http.get(url)
        assert stream.response.headers["Content-Type"].startswith("text/event-stream")
        assert (first.result, first.id, first.event) == (plain.json(), plain.headers["ETag"], None)
        assert any(line.startswith("retry: ") for line in stream.silent_lines)

        await rename("Renamed")
        second = await stream.next()
        plain = await live.http.get(url)
        assert second.result["name"] == "Renamed"
        assert (second.result, second.id) == (plain.json(), plain.headers["ETag"])


async def test_lists_outside_a_workspace_are_live_too(live: Live, workspace: str, rename: Rename) -> None:
    """The account's list of workspaces changes when one of them does."""
    async with live.stream("/api/workspaces") as stream:
        assert [one["id"] for one in (await stream.next()).result["items"]] == [workspace]
        await rename("Renamed")
        assert [one["name"] for one in (await stream.next()).result["items"]] == ["Renamed"]


async def test_a_commit_that_changes_no_result_sends_nothing(
    live: Live, workspace: str, rename: Rename, owner: psycopg.AsyncConnection
) -> None:
    """A change to other rows of the workspace sends nothing; the next change of the result is sent."""
    async with live.stream(f"/api/workspaces/{workspace}/jobs?type=none") as stream:
        await stream.next()
        await rename("Renamed")
        with pytest.raises(TimeoutError):
            await stream.next(within=NOT_YET)
    async with live.stream(f"/api/workspaces/{workspace}/jobs") as stream:
        assert (await stream.next()).result["items"] == []
        await rename("Renamed again")
        await add_job(owner, workspace)
        assert len((await stream.next()).result["items"]) == 1


async def add_job(connection: psycopg.AsyncConnection, workspace: str) -> None:
    """Insert a job with plain SQL."""
    await connection.execute(
        "INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at)"
        f" VALUES (%s, 'by_hand', {BUSINESS_NOW}, {BUSINESS_NOW})",
        [workspace],
    )


async def test_a_reconnect_gets_only_a_missed_result(live: Live, workspace: str, rename: Rename) -> None:
    """With the id of the current result nothing is sent until it changes; with an old id the result is sent at once."""
    url = f"/api/workspaces/{workspace}"
    async with live.stream(url) as stream:
        known = (await stream.next()).id
    assert known is not None
    async with live.stream(url, Last_Event_ID=known) as stream:
        with pytest.raises(TimeoutError):
            await stream.next(within=NOT_YET)
    await rename("Missed")
    async with live.stream(url, Last_Event_ID=known) as stream:
        assert (await stream.next()).result["name"] == "Missed"


async def test_a_late_commit_is_not_skipped_and_delays_no_other(
    live: Live, workspace: str, owner: psycopg.AsyncConnection, database_url: str
) -> None:
    """While one transaction that has written stays open others are seen at once; after its commit it is seen too."""
    url = f"/api/workspaces/{workspace}/jobs"
    async with (
        await psycopg.AsyncConnection.connect(libpq_url(owner_url(database_url))) as slow,
        live.stream(url) as stream,
    ):
        await stream.next()
        await add_job(slow, workspace)
        await add_job(owner, workspace)
        assert len((await stream.next()).result["items"]) == 1
        await add_job(owner, workspace)
        assert len((await stream.next()).result["items"]) == 2
        await slow.commit()
        assert len((await stream.next()).result["items"]) == 3


async def test_a_burst_is_throttled_and_ends_with_the_last_state(live: Live, workspace: str, rename: Rename) -> None:
    """Of forty changes a subscription gets at most ten a second, always the last one, and none twice."""
    loop = asyncio.get_running_loop()
    async with live.stream(f"/api/workspaces/{workspace}") as stream:
        await stream.next()
        started = loop.time()
        changing = asyncio.create_task(rename_often(rename, 40))
        names: list[str] = []
        while not names or names[-1] != "name 39":
            names.append((await stream.next()).result["name"])
        seconds = loop.time() - started
        await changing
    assert len(names) <= seconds * 10 + 1
    assert len(set(names)) == len(names)


async def rename_often(rename: Rename, times: int) -> None:
    """Change the same value many times."""
    for number in range(times):
        await rename(f"name {number}")


async def test_a_rejected_request_is_not_a_stream(live: Live, workspace: str) -> None:
    """No key, an unknown workspace and an invalid query return problems with their status, as without a stream."""
    url = f"/api/workspaces/{workspace}"
    answers = [
        await live.http.get(url, headers={**STREAM, "Authorization": "Bearer sm_wrong"}),
        await live.http.get("/api/workspaces/00000000-0000-7000-8000-000000000000", headers=STREAM),
        await live.http.get(f"{url}/jobs", params={"limit": "0"}, headers=STREAM),
    ]
    assert [one.status_code for one in answers] == [401, 404, 422]
    assert {one.headers["Content-Type"] for one in answers} == {"application/problem+json"}


async def test_a_revoked_key_ends_the_stream(
    live: Live, workspace: str, rename: Rename, owner: psycopg.AsyncConnection
) -> None:
    """Each result is authorised again: after the key is revoked the next event is a problem, and the stream ends."""
    async with live.stream(f"/api/workspaces/{workspace}/jobs") as stream:
        await stream.next()
        await owner.execute("UPDATE app.api_keys SET revoked_at = now()")
        await add_job(owner, workspace)
        last = await stream.next()
        assert (last.event, last.result["status"]) == ("problem", 401)
        with pytest.raises(EndOfStream):
            await stream.next()


async def test_a_stop_ends_streams_cleanly(live: Live, workspace: str) -> None:
    """When the server stops, streams end with a complete response, and the server does not wait for clients."""
    async with live.stream(f"/api/workspaces/{workspace}") as stream:
        await stream.next()
        live.server.should_exit = True
        with pytest.raises(EndOfStream):
            await stream.next()
    async with asyncio.timeout(SOON):
        await live.serving


async def test_a_disconnected_client_leaves_no_subscription(live: Live, workspace: str) -> None:
    """A closed connection leaves no subscription behind."""
    follower = live.app.state.follower
    async with live.stream(f"/api/workspaces/{workspace}") as stream:
        await stream.next()
        assert len(follower._subscriptions()) == 1
    await until(lambda: not follower._subscriptions())


async def test_a_lost_connection_to_the_log_loses_nothing(
    live: Live, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """The server closes the follower's connection; a later commit still arrives."""
    async with live.stream(f"/api/workspaces/{workspace}/jobs") as stream:
        await stream.next()
        cut = await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'salesmatter-live' AND datname = current_database()"
        )
        assert cut.rowcount > 0
        await add_job(owner, workspace)
        assert len((await stream.next()).result["items"]) == 1


async def test_heartbeats_are_sent_without_events(app: FastAPI, api_key: str, workspace: str) -> None:
    """Without events a comment is sent regularly, so that proxies keep the connection open."""
    sent: asyncio.Queue[bytes] = asyncio.Queue()
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.put_nowait(message.get("body", b""))

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/api/workspaces/{workspace}",
        "raw_path": f"/api/workspaces/{workspace}".encode(),
        "query_string": b"",
        "headers": [(b"accept", b"text/event-stream"), (b"authorization", f"Bearer {api_key}".encode())],
        "app": app,
        "state": {},
    }
    streaming = asyncio.create_task(LiveQueries(app, pace=Pace(heartbeat=0.02))(scope, receive, send))
    async with asyncio.timeout(SOON):
        while await sent.get() != b": alive\n\n":
            pass
        gone.set()
        await streaming


async def test_a_commit_shows_its_progress(live: Live, imports: Imports, services: Services, workspace: str) -> None:
    """A stream of an import gets each block of its commit, and its end."""
    made = await imports.uploaded(
        in_blocks("Email", *([f"b{block}r{row}@x.example" for row in range(5)] for block in (0, 1)))
    )
    await imports.start(made, "commit")
    worker = Worker(services, UUID(workspace))
    async with live.stream(f"{imports.base}/imports/{made['id']}") as stream:
        seen = [(await stream.next()).result]
        while await worker.commit_block(made):
            seen.append((await stream.next()).result)
        seen.append((await stream.next()).result)
    assert [one["processedCount"] for one in seen] == [0, 5, 10, 10]
    assert [one["state"] for one in seen] == ["committing"] * 3 + ["committed"]
