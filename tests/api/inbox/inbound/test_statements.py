"""Tests which mail a message answers, beside mails that differ from it in one condition."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.inbox.inbound import repository, service
from api.inbox.inbound.message import InboundMessage
from api.inbox.inbound.service import Receipt
from email_text.reports import Report, ReportKind
from tests.comparing import compared
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

DRAFTS, REPLIES, JOBS = "app.email_drafts", "app.replies", "app.scheduled_jobs"
TICK, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)
ADDRESS = "thandi@lead.example"
PUBLIC_URL = "https://sales.acme.example/"


def add_mail(workspaces: TwoWorkspaces, email: str = ADDRESS, **values: Any) -> UUID:
    """Insert a mail to a lead of this address; several leads may have it."""
    draft_id = workspaces.add_draft(status="sent", **values)
    ((lead_id,),) = workspaces.owner.execute("SELECT lead_id FROM app.email_drafts WHERE id = %s", [draft_id])
    workspaces.set("app.leads", lead_id, email=email)
    return draft_id


def message(from_email: str = ADDRESS, *headers: tuple[str, str], answered: tuple[UUID, ...] = ()) -> InboundMessage:
    """Return a received message."""
    return InboundMessage("<1@lead.example>", from_email, "Re", "Yes", headers, answered)


async def test_the_first_existing_mail_is_answered(two_workspaces: TwoWorkspaces) -> None:
    """A message answers the first existing mail that it refers to, and no other mail."""
    first, second, _ = (add_mail(two_workspaces, f"{name}@lead.example") for name in ("a", "b", "c"))
    gone = UUID(int=7)

    async def find(session: AsyncSession) -> list[UUID | None]:
        named: tuple[list[UUID], ...] = ([gone, second, first], [first, second], [gone], [])
        found = [await repository.find_draft_by_ids(session, two_workspaces.id, ids) for ids in named]
        return [draft.id if draft else None for draft in found]

    assert (await compared(two_workspaces, find)).result == [second, first, None, None]


async def test_the_last_mail_to_the_address_is_answered(two_workspaces: TwoWorkspaces) -> None:
    """The last mail to an address before a time is found: none sent at that time, and none to another address."""
    workspaces = two_workspaces
    sent = add_mail(workspaces, sent_at=NOW - TICK)
    ((lead_id,),) = workspaces.owner.execute("SELECT lead_id FROM app.email_drafts WHERE id = %s", [sent])
    rows: dict[UUID, UUID] = dict(
        workspaces.owner.execute("SELECT lead_id, enrollment_id FROM app.email_drafts").fetchall()
    )
    owners = {"lead_id": lead_id, "enrollment_id": rows[lead_id], "sequence_id": workspaces.ids["app.sequences"]}
    for order, sent_at in enumerate((NOW - MINUTE, NOW, NOW + MINUTE, None), start=2):
        step_id = workspaces.add("app.sequence_steps", step_order=order)
        workspaces.add(DRAFTS, **owners, step_id=step_id, step_order=order, sent_at=sent_at)
    add_mail(workspaces, "another@lead.example", sent_at=NOW - TICK)

    async def find(session: AsyncSession) -> UUID | None:
        draft = await repository.find_last_draft_to(session, workspaces.id, [ADDRESS, "unknown@lead.example"], NOW)
        return draft.id if draft else None

    assert (await compared(workspaces, find)).result == sent


@pytest.mark.parametrize(
    ("sent_at", "is_answer"), [(NOW + 5 * MINUTE - TICK, True), (NOW + 5 * MINUTE, False), (None, False)]
)
async def test_a_clock_may_differ_by_five_minutes(
    two_workspaces: TwoWorkspaces, sent_at: Any, *, is_answer: bool
) -> None:
    """A message answers a mail that was sent up to five minutes after it, because clocks differ, and no later one.

    If only replies are stored, a message that answers no mail is not.
    """
    draft_id = add_mail(two_workspaces, sent_at=sent_at)

    async def receive(session: AsyncSession) -> Receipt:
        return await service.receive_message(
            session,
            two_workspaces.id,
            message(),
            public_url=PUBLIC_URL,
            received_at=NOW,
            now=NOW + 9 * MINUTE,
            only_replies=True,
        )

    acted = await compared(two_workspaces, receive)
    assert acted.result is (Receipt.STORED if is_answer else Receipt.UNRELATED)
    assert set(acted.changes) == ({REPLIES, JOBS} if is_answer else set())
    for row in acted.changes.get(REPLIES, {}).values():
        assert row["draft_id"][1] == str(draft_id)


async def test_an_unrelated_message_is_stored_unless_only_replies_are(two_workspaces: TwoWorkspaces) -> None:
    """A message that answers no mail is stored once, without lead and mail, unless only replies are stored."""

    async def receive(session: AsyncSession) -> list[Receipt]:
        return [
            await service.receive_message(
                session, two_workspaces.id, message(), public_url=PUBLIC_URL, received_at=NOW, now=NOW
            )
            for _ in range(2)
        ]

    acted = await compared(two_workspaces, receive)
    assert acted.result == [Receipt.STORED, Receipt.DUPLICATE]
    (reply,) = acted.changes[REPLIES].values()
    assert [reply[name][1] for name in ("lead_id", "enrollment_id", "draft_id")] == [None, None, None]
    (job,) = acted.changes[JOBS].values()
    assert job["job_type"][1] == "classify_reply"


@pytest.mark.parametrize(
    ("text", "kind", "receipt"),
    [
        ("Please unsubscribe me.", None, Receipt.STORED),
        ("Lunch at one?", None, Receipt.UNRELATED),
        ("", ReportKind.BOUNCE, Receipt.STORED),
        ("", ReportKind.COMPLAINT, Receipt.STORED),
        ("", ReportKind.UNSUBSCRIBE, Receipt.STORED),
        ("Please unsubscribe me.", ReportKind.DELAY, Receipt.UNRELATED),
        ("", ReportKind.READ_RECEIPT, Receipt.UNRELATED),
    ],
)
async def test_what_is_stored_of_other_mail(
    two_workspaces: TwoWorkspaces, text: str, kind: ReportKind | None, receipt: Receipt
) -> None:
    """Of messages that answer no mail, a source with other mail stores each no and each report of a failure."""
    received = replace(message("other@x.example"), text=text, report=Report(kind) if kind else None)

    async def receive(session: AsyncSession) -> Receipt:
        return await service.receive_message(
            session,
            two_workspaces.id,
            received,
            public_url=PUBLIC_URL,
            received_at=NOW,
            now=NOW,
            only_replies=True,
        )

    acted = await compared(two_workspaces, receive)
    assert acted.result is receipt
    assert set(acted.changes) == ({REPLIES, JOBS} if receipt is Receipt.STORED else set())


async def test_what_makes_two_messages_one(two_workspaces: TwoWorkspaces) -> None:
    """Two messages are one if id, sender and words are the same, whatever their blanks; an id alone is not enough."""
    first = message()
    others = (
        (replace(first, text=" Y es\n"), Receipt.DUPLICATE),
        (replace(first, from_email="kim@lead.example"), Receipt.STORED),
        (replace(first, text="No"), Receipt.STORED),
        (replace(first, message_id="<2@lead.example>"), Receipt.STORED),
    )

    async def receive(session: AsyncSession) -> list[Receipt]:
        return [
            await service.receive_message(
                session, two_workspaces.id, received, public_url=PUBLIC_URL, received_at=NOW, now=NOW
            )
            for received in (first, *(other for other, _ in others), first)
        ]

    receipts = [Receipt.STORED, *(receipt for _, receipt in others), Receipt.DUPLICATE]
    assert (await compared(two_workspaces, receive)).result == receipts


MESSAGES: tuple[tuple[InboundMessage, bool], ...] = (
    (message("ann@acme.example"), True),
    (message("replies+tag@acme.example"), True),
    (message(), False),
    (message(ADDRESS, ("x-salesmatter-DRAFT", "any")), True),
    (message(ADDRESS, ("Subject", "Hi"), ("list-unsubscribe", "<https://sales.acme.example/u/token>")), True),
    (message(ADDRESS, ("List-Unsubscribe", "<https://sales.acme.example/user>")), False),
    (message(ADDRESS, ("X-Link", "<https://sales.acme.example/u/token>")), False),
)
"""Messages, and whether the workspace sent them itself."""


async def test_a_mail_of_the_workspace_is_no_reply(two_workspaces: TwoWorkspaces) -> None:
    """A message from the workspace's address or with the headers of its mails is its own, whatever else it contains.

    A message from its reply address is its own as long as the workspace has that address.
    """
    workspaces = two_workspaces

    async def receive(session: AsyncSession) -> list[bool]:
        return [
            await service.receive_message(
                session, workspaces.id, received, public_url=PUBLIC_URL, received_at=NOW, now=NOW
            )
            is Receipt.OWN
            for received, _ in MESSAGES
        ]

    for reply_to in ("replies@acme.example", None):
        workspaces.set("app.workspaces", workspaces.id, default_from_email="ann@acme.example", reply_to_email=reply_to)
        assert (await compared(workspaces, receive)).result == [
            is_own and (reply_to is not None or not received.from_email.startswith("replies"))
            for received, is_own in MESSAGES
        ]
