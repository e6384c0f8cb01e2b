import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from api.http.resources import Services
from api.inbox.mailbox.tasks import poll_mailbox
from api.jobs.engine import Work
from tests.api.inbox.mailbox.conftest import Box
from tests.business_clock import business_now

pytestmark = pytest.mark.anyio


async def test_a_reply_in_the_mailbox_stops_the_sequence(box: Box) -> None:
    """A message in the folder is read at the next poll, classified, and stops the sequence, only once."""
    box.deliver(box.answer("1"))
    before = business_now()
    shown = await box.put()
    assert (shown["lastError"], shown["failures"], shown["disabledAt"]) == (None, 0, None)
    assert datetime.fromisoformat(shown["polledAt"]) >= before
    (reply,) = await box.replies()
    assert (reply["leadId"], reply["text"].strip()) == (box.lead_id, "Yes please, tell me more.")
    assert (await box.outreach.get(f"/leads/{box.lead_id}"))["status"] == "Replied"
    assert [one["status"] for one in (await box.outreach.get("/enrollments"))["items"]] == ["replied"]

    await box.poll()
    box.deliver(box.answer("2"))
    await box.poll()
    await box.poll()
    assert [reply["messageId"] for reply in await box.replies()] == ["<2@lead.example>", "<1@lead.example>"]


async def test_the_time_of_arrival(box: Box) -> None:
    """A reply was received at the server's time of arrival, and never in the future."""
    box.deliver(box.answer("1"))
    delivered = business_now()
    await box.put()
    box.clock.virtual_start -= timedelta(minutes=30)
    box.deliver(box.answer("2"))
    before = box.clock.now()
    await box.put()
    after = box.clock.now()
    received = {one["messageId"]: datetime.fromisoformat(one["receivedAt"]) for one in await box.replies()}
    assert abs(delivered - received["<1@lead.example>"]) < timedelta(seconds=30)
    assert before <= received["<2@lead.example>"] <= after


async def test_by_webhook_and_by_imap(box: Box) -> None:
    """A message that arrives by both ways is stored once, with and without an id."""
    dated = b"Date: Mon, 23 Nov 2026 10:00:00 +0200\r\n"
    without = box.answer("x").replace(b"Message-ID: <x@lead.example>\r\n", dated)
    async with httpx.AsyncClient() as http:
        for raw in (box.answer("1"), without):
            assert (await http.post(box.outreach.inbound_url, content=raw)).json()["duplicate"] is False
    box.deliver(
        box.answer("1", headers="Received: from x\r\n"), without.replace(b"Date:", b"Received: from x\r\nDATE:")
    )
    shown = await box.put()
    assert (shown["lastError"], len(await box.replies())) == (None, 2)


async def test_other_mail_is_ignored(box: Box) -> None:
    """Copies of our own mails, and mails that answer none of them, are not stored as replies."""
    sent = (
        box.answer("sent")
        .replace(b"To: ann@acme", b"To: thandi@lead")
        .replace(b"Thandi <thandi@lead", b"Ann <ann@acme")
    )
    box.deliver(
        sent,
        box.answer("sent, too", headers=f"X-SalesMatter-Draft: {box.mail['message_id']}\r\n"),
        b"From: shop@news.example\r\nMessage-ID: <n@news.example>\r\n\r\nSale\r\n",
        box.answer("1"),
    )
    await box.put()
    assert [reply["messageId"] for reply in await box.replies()] == ["<1@lead.example>"]


async def test_nothing_in_the_mailbox_changes(box: Box) -> None:
    """Messages that were read stay unread and recent for their owner."""
    box.deliver(box.answer("1"), box.answer("2"))
    await box.put()
    assert len(await box.replies()) == 2
    assert box.server.marks(box.user) == ["new", "new"]


async def test_a_new_uidvalidity(box: Box) -> None:
    """With a new UIDVALIDITY the folder is read from the start: only new messages are stored."""
    box.deliver(box.answer("1"), box.answer("2"), box.answer("3"))
    await box.put()
    box.server.remove(box.user, 2)
    box.server.reset_uids(box.user)
    # Its number is below what was read up to.
    box.deliver(box.answer("4"))
    shown = await box.poll()
    assert shown["lastError"] is None
    assert sorted(reply["messageId"][1] for reply in await box.replies()) == ["1", "2", "3", "4"]


async def test_deleted_messages(box: Box) -> None:
    """Gaps in the UIDs after deleted messages block no other message."""
    box.deliver(*(box.answer(str(index)) for index in range(5)))
    await box.put()
    box.server.remove(box.user, 3)
    await box.poll()
    box.deliver(box.answer("6"), box.answer("7"))
    await box.poll()
    assert len(await box.replies()) == 7


async def test_much_mail(box: Box) -> None:
    """Five hundred messages are read in batches in one poll, each once."""
    box.deliver(*(box.answer(str(index), headers="Auto-Submitted: auto-generated\r\n") for index in range(500)))
    shown = await box.put()
    assert shown["polledAt"] is not None
    ids = {reply["messageId"] for reply in await box.replies()}
    assert ids == {f"<{index}@lead.example>" for index in range(500)}


async def test_a_worker_lost_between_batches(box: Box, services: Services, database_url: str) -> None:
    """A poll that ends between batches keeps its progress: the next one reads the rest, and nothing twice."""
    box.deliver(*(box.answer(str(index), headers="Auto-Submitted: auto-generated\r\n") for index in range(200)))
    response = await box.outreach.client.put(f"{box.outreach.path}/mailbox", json=box.body())
    assert response.status_code == 200
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:

        async def one(statement: bytes) -> Any:
            return (await (await owner.execute(statement)).fetchone() or [None])[0]

        payload = {"mailboxId": str(await one(b"SELECT id FROM app.mailboxes"))}
        now = services.clock.now()
        work = Work(uuid4(), box.outreach.workspace_id, payload, 1, now, services.clock, services.pool, services)
        polling = asyncio.create_task(poll_mailbox(work))
        while not await one(b"SELECT count(*) FROM app.replies"):
            await asyncio.wait({polling}, timeout=0.001)
        polling.cancel()
        await asyncio.wait({polling})
        assert polling.cancelled()
        stored, reached = (
            await one(b"SELECT count(*) FROM app.replies"),
            await one(b"SELECT last_uid FROM app.mailboxes"),
        )
        assert 0 < stored == reached < 200
    await box.outreach.run_jobs()
    assert len(await box.replies()) == 200


async def test_a_huge_message(box: Box) -> None:
    """The text of a message that is larger than the limit is read, because it stands before the attachments."""
    text = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nYes, please call.\r\n--b\r\n"
    head, _, _ = box.answer("1").partition(b"\r\n\r\n")
    attached = (
        b"Content-Type: application/pdf\r\nContent-Disposition: attachment\r\n\r\n" + b"x" * 70 + b"\r\n" * 4_000_000
    )
    box.deliver(head + b"\r\n" + text.encode() + attached + b"--b--\r\n", box.answer("2"))
    await box.put()
    texts = {reply["text"].strip() for reply in await box.replies()}
    assert texts == {"Yes, please call.", "Yes please, tell me more."}


async def test_invalid_messages_are_skipped(box: Box) -> None:
    """Invalid messages are skipped, and the messages after them are stored."""
    box.deliver(
        b"",
        b"\x00\xff\xfe",
        b"Subject: no sender\r\n\r\nx",
        b"From: " + b'"(' * 5000 + b"\r\n\r\nx",
        b"From: a@b.example\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 5000,
        box.answer("1", text="\x00" * 10 + "Yes"),
        box.answer("2", headers="Content-Type: multipart/mixed\r\n"),
        box.answer("3", headers="Subject: =?utf-8?q?" + "=FF" * 100 + "?=\r\n"),
    )
    shown = await box.put()
    assert (shown["lastError"], shown["failures"]) == (None, 0)
    assert len(await box.replies()) == 3


async def test_older_messages(box: Box) -> None:
    """Messages before `readSince` are not read; with an earlier date they are."""
    box.deliver(box.answer("1"))
    tomorrow = business_now().date() + timedelta(days=2)
    await box.put(readSince=tomorrow.isoformat())
    assert await box.replies() == []
    await box.put(readSince="2020-01-01")
    assert len(await box.replies()) == 1


async def test_messages_of_a_server_in_another_time_zone(box: Box) -> None:
    """A message of the day before `readSince` is read: where the workspace is, that day may have begun already."""
    box.deliver(box.answer("1"))
    await box.put(readSince=(business_now().date() + timedelta(days=1)).isoformat())
    assert len(await box.replies()) == 1


async def test_a_reply_is_not_older_than_the_mail(box: Box) -> None:
    """A message that arrived before the first mail to its sender answers none, though the sender is known."""
    old = box.answer("1").replace(b"In-Reply-To", b"X-Old")
    box.deliver(old)
    box.server.backdate(box.user, timedelta(hours=3))
    await box.put(readSince="2020-01-01")
    assert await box.replies() == []


@pytest.mark.parametrize("gone", ["mailbox", "workspace"])
async def test_polling_ends(box: Box, database_url: str, gone: str) -> None:
    """A mailbox is not polled after it or its workspace was deleted."""
    await box.put()
    assert len(await box.polls()) == 1
    path = f"{box.outreach.path}/mailbox" if gone == "mailbox" else box.outreach.path
    assert (await box.outreach.client.delete(path)).status_code == 204
    box.deliver(box.answer("1"))
    box.clock.virtual_start += timedelta(minutes=2)
    await box.outreach.run_jobs()
    assert (await box.outreach.client.get(path)).status_code == 404
    counts = (
        b"SELECT (SELECT count(*) FROM app.replies), (SELECT count(*) FROM app.scheduled_jobs"
        b" WHERE job_type = 'poll_mailbox' AND status IN ('pending', 'running')), (SELECT count(*) FROM app.mailboxes)"
    )
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        assert await (await owner.execute(counts)).fetchone() == (0, 0, 0)


async def test_one_job_polls_a_mailbox(box: Box) -> None:
    """A mailbox that is put several times is polled by one job, which continues after the last UID."""
    box.deliver(box.answer("1"))
    for _ in range(3):
        await box.put()
    await box.poll()
    assert len(await box.polls()) == 1
    assert len(await box.replies()) == 1
