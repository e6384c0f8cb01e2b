from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from api.accounts import service
from api.http.resources import Services
from database.tenancy import Scope, transaction
from tests.api.live.serving import Listener, listening
from tests.api.live.test_live import NOT_YET, EndOfStream, Live, Rename, live, rename

__all__ = ["live", "rename"]

pytestmark = pytest.mark.anyio

_WHO = sa.text(
    "SELECT coalesce(nullif(current_setting('app.workspace_id', true), ''), current_setting('app.account_id', true))"
)


@pytest.fixture
def query_counts() -> Iterator[Counter[str]]:
    """Count the transactions of this process by their workspace, or else their account."""
    counted: Counter[str] = Counter()

    def note(session: Session) -> None:
        counted[session.scalar(_WHO) or "none"] += 1

    event.listen(Session, "before_commit", note)
    yield counted
    event.remove(Session, "before_commit", note)


class Person:
    """A user with their own key."""

    def __init__(self, user_id: str, key_id: str, token: str) -> None:
        self.user_id, self.key_id, self.token = user_id, key_id, token

    @asynccontextmanager
    async def streams(self, live: Live, *urls: str) -> AsyncIterator[list[Listener]]:
        """Subscribe to URLs with the key, and read the first event of each."""
        async with AsyncExitStack() as opened:
            streams = [
                await opened.enter_async_context(listening(live, url, Authorization=f"Bearer {self.token}"))
                for url in urls
            ]
            for stream in streams:
                await stream.next()
            yield streams


async def added(admin: httpx.AsyncClient, email: str = "bo@acme.example") -> Person:
    """Add a member with a key, as an admin."""
    user = (await admin.post("/api/users", json={"email": email, "name": "Bo", "role": "member"})).json()
    key = (await admin.post("/api/api-keys", json={"name": "theirs", "userId": user["id"]})).json()
    return Person(user["id"], key["id"], key["token"])


async def is_refused(stream: Listener, status: int) -> bool:
    """Return whether the stream ends now, after a problem."""
    last = await stream.next()
    with pytest.raises(EndOfStream):
        await stream.next()
    return (last.event, last.result["status"]) == ("problem", status)


async def test_a_revoked_key_ends_its_streams_and_no_others(
    live: Live, app_client: httpx.AsyncClient, workspace: str, rename: Rename
) -> None:
    """All its streams end, also those that share a query; the user's other key continues with the same query."""
    url = f"/api/workspaces/{workspace}"
    bo = await added(app_client)
    other = (await app_client.post("/api/api-keys", json={"name": "second", "userId": bo.user_id})).json()
    same = Person(bo.user_id, other["id"], other["token"])
    async with (
        bo.streams(live, url, url, url, f"{url}/jobs", "/api/me") as ended,
        same.streams(live, url) as (goes_on,),
    ):
        (await app_client.delete(f"/api/api-keys/{bo.key_id}")).raise_for_status()
        for stream in ended:
            assert await is_refused(stream, 401)
        again = await live.http.get(url, headers={"Accept": "text/event-stream", "Authorization": f"Bearer {bo.token}"})
        assert again.status_code == 401
        await rename("Renamed")
        assert (await goes_on.next()).result["name"] == "Renamed"


async def test_another_role_ends_the_streams(
    live: Live, app_client: httpx.AsyncClient, workspace: str, rename: Rename
) -> None:
    """It ends although the result is the same for every role; a client that reconnects continues."""
    url = f"/api/workspaces/{workspace}"
    bo, cy = await added(app_client), await added(app_client, "cy@acme.example")
    async with cy.streams(live, url) as (goes_on,):
        async with bo.streams(live, url, url) as ended:
            known = (await live.http.get(url)).headers["ETag"]
            (await app_client.patch(f"/api/users/{bo.user_id}", json={"role": "admin"})).raise_for_status()
            for stream in ended:
                with pytest.raises(EndOfStream):
                    await stream.next()
        headers = {"Authorization": f"Bearer {bo.token}", "Last_Event_ID": known}
        async with listening(live, url, **headers) as back:
            assert await back.is_silent(NOT_YET)
            await rename("Renamed")
            assert (await back.next()).result["name"] == "Renamed"
        assert (await goes_on.next()).result["name"] == "Renamed"


async def test_a_deleted_user_is_refused(live: Live, app_client: httpx.AsyncClient, workspace: str) -> None:
    """A deleted user's keys and streams end; a stream of the account's users shows the deletion."""
    bo = await added(app_client)
    async with (
        bo.streams(live, f"/api/workspaces/{workspace}/leads", "/api/users") as ended,
        listening(live, "/api/users") as admins,
    ):
        assert len((await admins.next()).result["items"]) == 2
        (await app_client.delete(f"/api/users/{bo.user_id}")).raise_for_status()
        for stream in ended:
            assert await is_refused(stream, 401)
        assert len((await admins.next()).result["items"]) == 1


async def test_a_deleted_workspace_ends_its_streams(live: Live, app_client: httpx.AsyncClient, workspace: str) -> None:
    """Each stream gets a problem; the list of workspaces becomes shorter, and streams of other workspaces continue."""
    made = (await app_client.get(f"/api/workspaces/{workspace}")).json()
    fields = ("defaultFromName", "defaultFromEmail")
    other = await app_client.post("/api/workspaces", json={"name": "Other", **{name: made[name] for name in fields}})
    second = f"/api/workspaces/{other.json()['id']}"
    urls = [f"/api/workspaces/{workspace}{path}" for path in ("", "/jobs", "/leads")]
    async with AsyncExitStack() as opened:
        ended = [await opened.enter_async_context(listening(live, url)) for url in urls]
        goes_on = await opened.enter_async_context(listening(live, second))
        listed = await opened.enter_async_context(listening(live, "/api/workspaces"))
        for stream in [*ended, goes_on, listed]:
            await stream.next()
        (await app_client.delete(f"/api/workspaces/{workspace}")).raise_for_status()
        for stream in ended:
            assert await is_refused(stream, 404)
        assert len((await listed.next()).result["items"]) == 1
        (await app_client.patch(second, json={"name": "Renamed"})).raise_for_status()
        assert (await goes_on.next()).result["name"] == "Renamed"


async def test_the_work_of_one_tenant_runs_no_query_of_another(
    live: Live,
    services: Services,
    app_client: httpx.AsyncClient,
    workspace: str,
    rename: Rename,
    query_counts: Counter[str],
) -> None:
    """Not even a query without a changed result runs: neither on its account's lists nor in its workspace."""
    async with transaction(services.pool, Scope()) as session:
        made = await service.create_account(session, name="Other", user_name="Eve", email="eve@other.example")
    eve = Person(str(made.user_id), "", made.api_key)
    headers = {"Authorization": f"Bearer {eve.token}"}
    body = {"name": "Theirs", "defaultFromName": "Eve", "defaultFromEmail": "eve@other.example"}
    theirs = (await app_client.post("/api/workspaces", json=body, headers=headers)).json()["id"]
    account = (await app_client.get("/api/me", headers=headers)).json()["account"]["id"]
    base = f"/api/workspaces/{theirs}"
    urls = [base, f"{base}/leads", f"{base}/jobs", "/api/workspaces", "/api/users", "/api/api-keys", "/api/account"]
    async with eve.streams(live, *urls) as streams, listening(live, f"/api/workspaces/{workspace}") as mine:
        await mine.next()
        assert await streams[0].is_silent(NOT_YET)
        query_counts.clear()
        await busy(app_client, workspace, rename)
        while (await mine.next()).result["name"] != "Last":
            pass
        for stream in streams:
            assert await stream.is_silent(0.02)
        assert query_counts[workspace] > 0
        assert (query_counts[theirs], query_counts[account]) == (0, 0)

        (await app_client.patch(base, json={"name": "Renamed"}, headers=headers)).raise_for_status()
        assert (await streams[0].next()).result["name"] == "Renamed"
        assert query_counts[theirs] > 1


async def busy(admin: httpx.AsyncClient, workspace: str, rename: Rename) -> None:
    """Change rows of many tables in a workspace and its account."""
    for number in range(10):
        await rename(f"Name {number}")
        email = f"x{number}@lead.example"
        lead = await admin.post(f"/api/workspaces/{workspace}/leads", json={"email": email})
        lead.raise_for_status()
        person = await added(admin, f"p{number}@acme.example")
        (await admin.delete(f"/api/api-keys/{person.key_id}")).raise_for_status()
    (await admin.patch("/api/account", json={"name": "Acme Ltd"})).raise_for_status()
    await rename("Last")
