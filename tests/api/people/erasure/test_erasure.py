import json
from datetime import timedelta
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import anyio.to_thread
import httpx
import psycopg
import pytest
from psycopg import sql

from api.http.resources import Services
from api.imports.packing import cells_of, unpack_rows
from api.people.erasure import service
from api.people.erasure.service import Person
from api.people.erasure.tasks import RETRY_AFTER
from database.tenancy import Scope, transaction
from tests.api.conftest import RunJobs
from tests.api.lead_requests import UNKNOWN_ID, add, add_list, count_of
from tests.api.running import stop_clock
from tests.api.sending_workspace import Outreach
from tests.business_clock import BUSINESS_NOW
from tests.suppression_hash import suppression_hash
from tests.tables import ABSENT, BOOKKEEPING, changes, snapshot, unchanged

pytestmark = pytest.mark.anyio

ADDRESS = "thandi@lead.example"
NAMES = (ADDRESS, "Thandi", "thandi%40lead.example")


def mentions(database_url: str, *words: str) -> list[str]:
    """Return which columns of which tables of ours still hold one of these words, in any case."""
    found = []
    with psycopg.connect(database_url) as connection:
        columns = connection.execute(
            """
            SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
             JOIN information_schema.tables USING (table_schema, table_name)
             WHERE table_schema IN ('app', 'everlytic') AND table_type = 'BASE TABLE'
               AND data_type IN ('text', 'jsonb', 'bytea')
            """
        ).fetchall()
        for schema, table, column, kind in columns:
            value = sql.SQL("encode({}, 'escape')" if kind == "bytea" else "{}::text").format(sql.Identifier(column))
            query = sql.SQL("SELECT count(*) FROM {}.{} WHERE {} ILIKE ANY(%s)").format(
                sql.Identifier(schema), sql.Identifier(table), value
            )
            patterns = [f"%{word.replace('%', chr(92) + '%')}%" for word in words]
            counted = connection.execute(query, [patterns]).fetchone()
            if counted and counted[0]:
                found.append(f"{schema}.{table}.{column}")
        # Text that is packed is found only unpacked.
        for _, content in files(connection):
            if any(word.lower() in content.lower() for word in words):
                found.append("app.lead_import_blocks.content")
    return sorted(found)


def files(connection: psycopg.Connection) -> list[tuple[list[list[str]], str]]:
    """Return the cells of every block of every file, and the whole block as text."""
    blocks = connection.execute("SELECT content FROM app.lead_import_blocks ORDER BY import_id, number").fetchall()
    frames = [unpack_rows(content) for (content,) in blocks]
    return [(cells_of(frame)["cells"].to_list(), str(frame.to_dicts())) for frame in frames]


async def test_nothing_says_who_it_was(outreach: Outreach, database_url: str) -> None:
    """After an erasure no table says who the person was, and everything that happened can still be counted."""
    uploaded = await outreach.client.post(
        f"{outreach.path}/imports",
        files={"file": ("people.csv", f"Email,First Name\nx@lead.example,Xola\n{ADDRESS.upper()},Thandi\n".encode())},
    )
    assert uploaded.status_code == 202, uploaded.text
    lead_id, mail = await outreach.send_one(ADDRESS)
    await outreach.post(f"/imports/{uploaded.json()['id']}/commit")
    await outreach.hear(mail, "delivered")
    await outreach.hear(mail, "open")
    await outreach.hear(mail, "bounce", bounce_type="soft", bounce_reason=f"no room for {ADDRESS}")
    await _reply(outreach, mail)
    settled = (
        "INSERT INTO app.send_settlements (workspace_id, draft_id, decision, decided_by, note, decided_at)"
        f" SELECT workspace_id, id, 'sent', 'Ann', %s, {BUSINESS_NOW} FROM app.email_drafts WHERE status = 'sent'"
    )
    with psycopg.connect(database_url) as connection:
        connection.execute(settled, [f"{ADDRESS} says it came"])
        connection.execute("UPDATE app.lead_events SET cause = %s", [f"asked by {ADDRESS}"])
        connection.execute("UPDATE app.enrollment_events SET cause = %s", [f"by user {UNKNOWN_ID}: Thandi is ill"])
        connection.execute("UPDATE app.email_drafts SET written = jsonb_build_object('subject', subject, 'body', body)")
    for email in (ADDRESS, "z@lead.example"):
        added = await outreach.post("/suppressions", {"email": email, "source": f"asked by {ADDRESS}"})
        removed = f"{outreach.path}/suppressions/{added.json()['id']}"
        assert (await outreach.client.delete(removed, params={"reason": f"{ADDRESS} called"})).status_code == 204
        await outreach.post("/suppressions", {"email": email, "source": f"asked by {ADDRESS}"})
    # So that the provider reports nothing more by itself.
    outreach.sandbox.forget()
    await anyio.to_thread.run_sync(outreach.sandbox.settle)
    await outreach.run_jobs()
    before = await _counted(outreach)
    assert {
        "app.replies.text",
        "app.email_drafts.written",
        "app.send_settlements.note",
        "app.suppressions.source",
        "app.suppression_removals.source",
        "app.suppression_removals.removed_because",
        "app.lead_events.cause",
        "app.enrollment_events.cause",
        "app.email_events.data",
        "app.lead_import_rows.email",
        "app.lead_import_blocks.content",
        "app.lead_imports.mapping",
    } <= {*mentions(database_url, *NAMES)}

    await outreach.post(f"/leads/{lead_id}/erase")
    await outreach.run_jobs()

    assert mentions(database_url, *NAMES) == []
    assert await _counted(outreach) == before
    bounced = (await outreach.get("/events", type="bounced"))["items"]
    assert [event["data"] for event in bounced] == [{"bounce_type": "soft"}]
    assert (await outreach.client.get(f"{outreach.path}/leads/{lead_id}")).status_code == 404
    (enrollment,) = (await outreach.get("/enrollments"))["items"]
    assert enrollment["status"] == "completed"
    unsent = [draft for draft in (await outreach.get("/drafts"))["items"] if draft["status"] != "sent"]
    assert {(draft["status"], draft["errorReason"]) for draft in unsent} == {("failed", "the lead was erased")}
    assert "x@lead.example" in str((await outreach.get("/leads"))["items"])


async def _reply(outreach: Outreach, mail: dict[str, Any]) -> None:
    message = (
        f"From: Thandi <{ADDRESS}>\r\nTo: ann@acme.example\r\nSubject: Re: One\r\n"
        f"Message-ID: <1@lead.example>\r\nIn-Reply-To: <{mail['message_id']}@x>\r\n\r\nCall me. Thandi\r\n"
    )
    heard = await outreach.client.post(
        outreach.inbound_url, content=message.encode(), headers={"Content-Type": "message/rfc822"}
    )
    assert heard.is_success, heard.text
    await outreach.run_jobs()


async def _counted(outreach: Outreach) -> dict[str, int]:
    return {
        path: len((await outreach.get(path, limit="500"))["items"])
        for path in ("/drafts", "/events", "/replies", "/enrollments", "/suppressions/removals")
    }


async def test_never_mailable_again(outreach: Outreach, services: Services) -> None:
    """An erased address that comes again, by hand or by a file, is suppressed by its hash and not enrolled."""
    sequence_id = await outreach.add_sequence("One")
    lead_id = await outreach.add_lead(ADDRESS)
    await outreach.post(f"/leads/{lead_id}/erase")
    await outreach.run_jobs()
    (suppression,) = (await outreach.get("/suppressions"))["items"]
    assert (suppression["value"], suppression["reason"], suppression["source"]) == (None, "manual", "erased")
    (result,) = (await outreach.post("/leads/bulk", {"leads": [{"email": ADDRESS}]})).json()["results"]
    again = await outreach.get(f"/leads/{result['leadId']}")
    assert (again["suppressed"], result["status"]) == (True, "created")
    uploaded = await outreach.client.post(
        f"{outreach.path}/imports", files={"file": ("people.csv", f"Email\n{ADDRESS}\n".encode())}
    )
    await outreach.post(f"/imports/{uploaded.json()['id']}/commit")
    await outreach.run_jobs()
    assert (await outreach.get(f"/imports/{uploaded.json()['id']}"))["suppressedCount"] == 1
    body = {"sequenceId": sequence_id, "leadIds": [again["id"]]}
    enrolled = (await outreach.post("/enrollments", body)).json()
    assert (enrolled["enrolled"], enrolled["skipped"]) == (0, {"suppressed": 1})
    await outreach.run_jobs()
    assert outreach.mails() == []
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        connection = await session.connection()
        hashes = await connection.exec_driver_sql("SELECT value_hash FROM app.suppressions")
        assert [row[0] for row in hashes] == [suppression_hash(await outreach.account_id(), ADDRESS)]


async def test_what_was_said_outranks_it(
    app_client: httpx.AsyncClient, base: str, run_jobs: RunJobs, database_url: str
) -> None:
    """A person's own no stays the reason of the suppression; only the plain address goes, there and where it was."""
    lead = await add(app_client, base, ADDRESS)
    made = await app_client.post(f"{base}/suppressions", json={"email": ADDRESS})
    removed = await app_client.delete(f"{base}/suppressions/{made.json()['id']}", params={"reason": "by mistake"})
    assert removed.status_code == 204
    assert (await app_client.post(f"{base}/leads/{lead['id']}/unsubscribe")).status_code == 200
    assert (await app_client.post(f"{base}/leads/{lead['id']}/erase")).status_code == 204
    await run_jobs()
    (suppression,) = (await app_client.get(f"{base}/suppressions")).json()["items"]
    assert (suppression["value"], suppression["reason"]) == (None, "unsubscribed")
    assert mentions(database_url, *NAMES) == []


async def test_every_lead_of_the_address_goes(
    app_client: httpx.AsyncClient, base: str, run_jobs: RunJobs, database_url: str
) -> None:
    """Who was deleted and added again is erased in both leads, similar addresses in none; counts stay true."""
    list_id = await add_list(app_client, base)
    old = await add(app_client, base, ADDRESS, firstName="Thandi", listId=list_id)
    assert (await app_client.delete(f"{base}/leads/{old['id']}")).status_code == 204
    new = await add(app_client, base, ADDRESS, lastName="Thandi", listId=list_id)
    near = await add(app_client, base, f"x{ADDRESS}", listId=list_id)
    file = f"Email,Name\nx{ADDRESS},Xola\n{ADDRESS}.za,Zola\n{ADDRESS},Thandi\n"
    uploaded = await app_client.post(f"{base}/imports", files={"file": ("people.csv", file.encode())})
    assert uploaded.status_code == 202
    for _ in range(2):
        assert (await app_client.post(f"{base}/leads/{old['id']}/erase")).status_code == 204
    await run_jobs()
    for lead in (old, new):
        assert (await app_client.get(f"{base}/leads/{lead['id']}")).status_code == 404
        restored = await app_client.post(f"{base}/leads/{lead['id']}/restore")
        assert (restored.status_code, restored.json()["code"]) == (409, "conflict")
    assert (await app_client.get(f"{base}/leads/{near['id']}")).json()["email"] == f"x{ADDRESS}"
    assert await count_of(app_client, base, list_id) == 1
    with psycopg.connect(database_url) as connection:
        ((cells, _),) = files(connection)
        rows = connection.execute("SELECT email FROM app.lead_import_rows ORDER BY line_number").fetchall()
    assert cells == [[f"x{ADDRESS}", "Xola"], [f"{ADDRESS}.za", "Zola"], []]
    assert [email for (email,) in rows] == [f"x{ADDRESS}", f"{ADDRESS}.za", None]
    jobs = (await app_client.get(f"{base}/jobs", params={"type": "erase_traces"})).json()["items"]
    assert [job["status"] for job in jobs] == ["completed"]
    assert (await app_client.post(f"{base}/leads/{UNKNOWN_ID}/erase")).status_code == 404


async def test_an_old_link_still_works(outreach: Outreach, database_url: str) -> None:
    """The unsubscribe link of a mail to an erased person unsubscribes them for that mail, once; their suppression keeps
    its hash and gets their own reason, and no blank address is suppressed."""
    lead_id, mail = await outreach.send_one(ADDRESS)
    await outreach.post(f"/leads/{lead_id}/erase")
    # So that the provider reports nothing more by itself.
    outreach.sandbox.forget()
    await anyio.to_thread.run_sync(outreach.sandbox.settle)
    await outreach.run_jobs()
    link = mail["custom_headers"]["List-Unsubscribe"][0].strip("<>")
    before = snapshot(database_url)

    page, confirmed = await outreach.client.get(link), await outreach.client.post(link)

    assert (page.status_code, confirmed.status_code) == (200, 200)
    assert "<p>Do you want no more email from <b>Ann</b>?</p>" in page.text
    assert "<p>You will get no more email from <b>Ann</b>.</p>" in confirmed.text
    changed = changes(before, snapshot(database_url), except_tables=BOOKKEEPING)
    tables = ("app.leads", "app.lead_events", "app.email_events", "app.suppressions")
    (lead,), (moved,), (event,), (suppression,) = (changed.pop(table).values() for table in tables)
    assert changed == {}
    cause = f"link in draft {mail['message_id']}"
    assert suppression == {
        "reason": ("manual", "unsubscribed"),
        "source": ("erased", cause),
        "suppressed_at": ANY,
    }
    assert lead == {"status": ("Contacted", "Unsubscribed"), "last_activity_at": ANY, "updated_at": ANY}
    assert moved["cause"] == (ABSENT, cause)
    expected = {"draft_id": mail["message_id"], "type": "unsubscribed", "data": {"by": "link"}}
    assert {name: event[name] for name in expected} == {name: (ABSENT, value) for name, value in expected.items()}
    with unchanged(database_url):
        assert (await outreach.client.post(link)).status_code == 200


async def test_an_old_link_suppresses_again(outreach: Outreach, database_url: str) -> None:
    """When an admin removed the suppression of an erased person, their old link suppresses the same hash again.

    Neither the page nor the answer names the address.
    """
    lead_id, mail = await outreach.send_one(ADDRESS)
    await outreach.post(f"/leads/{lead_id}/erase")
    await outreach.run_jobs()
    (suppression,) = (await outreach.get("/suppressions"))["items"]
    path = f"{outreach.path}/suppressions/{suppression['id']}"
    assert (await outreach.client.delete(path, params={"reason": "by mistake"})).status_code == 204
    link = mail["custom_headers"]["List-Unsubscribe"][0].strip("<>")

    page, confirmed = await outreach.client.get(link), await outreach.client.post(link)

    assert (page.status_code, confirmed.status_code) == (200, 200)
    assert ADDRESS not in page.text + confirmed.text
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT value, value_hash, kind, reason FROM app.suppressions").fetchall()
    assert found == [(None, suppression_hash(await outreach.account_id(), ADDRESS), "email", "unsubscribed")]


@pytest.mark.parametrize("is_held", [False, True])
async def test_earlier_addresses_go_too(outreach: Outreach, database_url: str, *, is_held: bool) -> None:
    """An earlier address that the lead was mailed at is suppressed by its hash and erased from all tables.

    A lead that has the earlier address by now keeps it, and is suppressed.
    """
    earlier = "t.earlier@lead.example"
    lead_id, _ = await outreach.send_one(earlier)
    path = f"{outreach.path}/leads/{lead_id}"
    etag = (await outreach.client.get(path)).headers["ETag"]
    changed = await outreach.client.patch(path, json={"email": ADDRESS}, headers={"If-Match": etag})
    assert changed.status_code == 200
    holder = await outreach.add_lead(earlier) if is_held else None
    outreach.sandbox.forget()
    await anyio.to_thread.run_sync(outreach.sandbox.settle)
    await outreach.run_jobs()

    await outreach.post(f"/leads/{lead_id}/erase")
    await outreach.run_jobs()

    assert mentions(database_url, ADDRESS) == []
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT value, value_hash FROM app.suppressions").fetchall()
    account_id = await outreach.account_id()
    hashes = {suppression_hash(account_id, address) for address in (earlier, ADDRESS)}
    assert sorted(found) == [(None, hashed) for hashed in sorted(hashes)]
    if holder is None:
        assert mentions(database_url, earlier) == []
    else:
        kept = await outreach.get(f"/leads/{holder}")
        assert (kept["email"], kept["suppressed"]) == (earlier, True)


REPORTS = ("webhook_deliveries", "callback_events")
"""The tables that store what the provider reports."""


def add_reports(connection: psycopg.Connection, workspace_id: UUID) -> None:
    """Store what the provider pushed and listed about the person, not applied yet."""
    pushed = json.dumps({"event": {"event_type": "open", "email_to": ADDRESS.upper()}}).encode()
    connection.execute(
        "INSERT INTO everlytic.webhook_deliveries (workspace_id, content_type, body, received_at)"
        f" VALUES (%s, 'application/json', %s, {BUSINESS_NOW})",
        [workspace_id, pushed],
    )
    connection.execute(
        "INSERT INTO everlytic.callback_events (workspace_id, event_key, type, recipient, occurred_at, raw)"
        f" VALUES (%s, 'a', 'bounce', %s, {BUSINESS_NOW}, %s)",
        [workspace_id, ADDRESS, json.dumps({"email_to": ADDRESS, "bounce_type": "soft"})],
    )


def mark_applied(connection: psycopg.Connection, *tables: str) -> None:
    """Note that what the provider reported is applied."""
    for table in tables:
        statement = sql.SQL("UPDATE everlytic.{} SET applied_at = {}")
        connection.execute(statement.format(sql.Identifier(table), sql.SQL(BUSINESS_NOW)))


async def test_what_is_not_applied_yet_is_waited_for(services: Services, workspace: str, database_url: str) -> None:
    """A report of the provider that is not applied yet is counted and left whole; once it is applied, it is erased."""
    workspace_id, person = UUID(workspace), Person([], [ADDRESS])
    with psycopg.connect(database_url, autocommit=True) as connection:
        add_reports(connection, workspace_id)
        for waiting in (1, 0):
            for place in ("webhook deliveries", "callback events"):
                async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
                    assert await service.erase_in(session, workspace_id, place, person) == waiting
            assert bool(mentions(database_url, *NAMES)) is bool(waiting)
            mark_applied(connection, *REPORTS)
        raw = connection.execute("SELECT raw FROM everlytic.callback_events").fetchone()
    assert raw == ({"bounce_type": "soft"},)


@pytest.mark.parametrize("last", REPORTS)
async def test_the_job_comes_again_while_anything_is_not_applied(
    app_client: httpx.AsyncClient, base: str, services: Services, run_jobs: RunJobs, database_url: str, last: str
) -> None:
    """While one place holds what is not applied yet the job is deferred by a minute and keeps the address.

    Once that is applied, the job takes it and ends.
    """
    lead = await add(app_client, base, ADDRESS)
    assert (await app_client.post(f"{base}/leads/{lead['id']}/erase")).status_code == 204
    stop_clock(services.clock, services.clock.now())
    query = "SELECT status, run_at, payload ? 'addresses' FROM app.scheduled_jobs WHERE job_type = 'erase_traces'"
    with psycopg.connect(database_url, autocommit=True) as connection:
        add_reports(connection, UUID(base.rpartition("/")[2]))
        mark_applied(connection, *(table for table in REPORTS if table != last))
        await run_jobs()
        ((status, run_at, has_address),) = connection.execute(query).fetchall()
        assert (status, has_address) == ("pending", True)
        assert abs(run_at - services.clock.now() - RETRY_AFTER) < timedelta(seconds=1)
        assert {name.rpartition(".")[0] for name in mentions(database_url, *NAMES)} == {f"everlytic.{last}"}
        mark_applied(connection, last)
        stop_clock(services.clock, run_at)
        await run_jobs()
        ((status, _, has_address),) = connection.execute(query).fetchall()
    assert (status, has_address) == ("completed", False)
    assert mentions(database_url, *NAMES) == []


async def test_the_job_forgets_the_address(
    app_client: httpx.AsyncClient, base: str, run_jobs: RunJobs, database_url: str
) -> None:
    """The job holds the address encrypted, and not at all once it is done."""
    lead = await add(app_client, base, ADDRESS)
    assert (await app_client.post(f"{base}/leads/{lead['id']}/erase")).status_code == 204
    assert mentions(database_url, *NAMES) == []
    query = "SELECT payload FROM app.scheduled_jobs WHERE job_type = 'erase_traces'"
    with psycopg.connect(database_url) as connection:
        waiting = connection.execute(query).fetchall()
    await run_jobs()
    with psycopg.connect(database_url) as connection:
        done = connection.execute(query).fetchall()
    assert [set(payload) for (payload,) in waiting + done] == [{"leadIds", "addresses"}, {"leadIds"}]
