"""What erasure takes from each table, with rows beside those it is for that differ from them in one column."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from api.people.erasure import repository
from api.people.erasure.repository import PLACES, Traces
from database.base import Base
from tests.acting import act_alone, owner_session
from tests.database.rows import Ids, insert, row_for
from tests.suppression_hash import suppression_hash
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

LEADS, DRAFTS, ATTEMPTS, SETTLEMENTS = "app.leads", "app.email_drafts", "app.send_attempts", "app.send_settlements"
RELEASED = "app.released_claims"
REPLIES, EVENTS, JOBS, ARCHIVED = "app.replies", "app.email_events", "app.scheduled_jobs", "app.archived_jobs"
TRANSACTIONS, CALLBACKS = "everlytic.transactions", "everlytic.callback_events"
DELIVERIES, SUPPRESSIONS, REMOVALS = "everlytic.webhook_deliveries", "app.suppressions", "app.suppression_removals"
TEXTS = {
    "suppressions": (SUPPRESSIONS, "source"),
    "lead events": ("app.lead_events", "cause"),
    "enrollment events": ("app.enrollment_events", "cause"),
}
"""Places where only one column may name a person."""
ADDRESS = "ann@lead.example"
MENTION = r"(^|[^a-z])ann@lead\.example"


def add_draft(workspaces: TwoWorkspaces, lead_id: UUID, **values: Any) -> UUID:
    """Insert a draft for a lead."""
    enrollment_id = workspaces.add("app.lead_enrollments", lead_id=lead_id, status="completed")
    text: dict[str, Any] = {"subject": "Hello", "body": "Hi Ann", "body_html": "<p>Hi Ann</p>"}
    text |= {"generation": Jsonb({"trace_id": "t"}), "written": Jsonb({"subject": "Hi"}), "warnings": Jsonb(["[Ann]"])}
    owners: dict[str, Any] = {
        "lead_id": lead_id,
        "enrollment_id": enrollment_id,
        "sequence_id": workspaces.ids["app.sequences"],
    }
    return workspaces.add(DRAFTS, **owners, **text, **values)


def add_message(workspaces: TwoWorkspaces, lead_id: UUID, key: str) -> dict[str, UUID]:
    """Insert a draft that was sent to a lead, with every report about it and every answer to it."""
    draft_id = add_draft(workspaces, lead_id, status="sent")
    about: dict[str, Any] = {"draft_id": draft_id}
    reply: dict[str, Any] = {"from_email": ADDRESS, "text": "Hi", "subject": "Re", "headers": Jsonb([{"name": "To"}])}
    event: dict[str, Any] = {"data": Jsonb({"kind": "hard", "by": "x", "bounce_type": "hard", "email": ADDRESS})}
    workspaces.add_released_claim(draft_id, recipient=ADDRESS, subject="Hello")
    return {
        DRAFTS: draft_id,
        ATTEMPTS: workspaces.add(ATTEMPTS, **about, error="refused"),
        SETTLEMENTS: workspaces.add(SETTLEMENTS, **about, note="Ann says it came"),
        EVENTS: workspaces.add(EVENTS, **about, provider_event_key=key, **event),
        REPLIES: workspaces.add(REPLIES, lead_id=lead_id, message_id=key, **reply),
    }


async def test_messages_of_the_leads_are_emptied(two_workspaces: TwoWorkspaces) -> None:
    """Every message to a lead, its reports and its replies are emptied; the unsent ones fail, and no other does.

    What was written to another lead stays whole.
    """
    workspaces = two_workspaces
    lead_id, other = workspaces.add(LEADS), workspaces.add(LEADS)
    message = add_message(workspaces, lead_id, "theirs")
    add_message(workspaces, other, "another's")
    workspaces.add(REPLIES, message_id="unassigned", text="Hi")
    waiting = add_draft(workspaces, lead_id, status="drafted")
    claimed = add_draft(workspaces, lead_id, status="reviewed", error_reason="refused")
    attempt = workspaces.add(ATTEMPTS, draft_id=claimed)
    sent = add_draft(workspaces, lead_id, status="sent")

    acted = await act_alone(
        workspaces, lambda session: repository.erase_messages(session, workspaces.id, [lead_id], reason="erased")
    )

    emptied: dict[str, Any] = dict.fromkeys(("subject", "body", "body_html"), "")
    emptied |= {"generation": None, "written": None, "warnings": []}
    hashed = suppression_hash(workspaces.ids["app.accounts"], ADDRESS)
    assert acted.after() == {
        DRAFTS: {
            str(message[DRAFTS]): emptied,
            str(waiting): {**emptied, "status": "failed", "error_reason": "erased"},
            str(claimed): {**emptied, "error_reason": None},
            str(sent): emptied,
        },
        ATTEMPTS: {str(message[ATTEMPTS]): {"error": None}, str(attempt): {}},
        RELEASED: {
            str(message[DRAFTS]): {"recipient": None, "subject": "", "recipient_hash": hashed},
        },
        SETTLEMENTS: {str(message[SETTLEMENTS]): {"note": ""}},
        EVENTS: {str(message[EVENTS]): {"data": {"kind": "hard", "by": "x", "bounce_type": "hard"}}},
        REPLIES: {str(message[REPLIES]): {"from_email": "", "text": "", "subject": "", "headers": []}},
    }


async def test_messages_of_a_lead_are_named_by_all_their_ids(two_workspaces: TwoWorkspaces) -> None:
    """A lead's drafts come with what the provider calls them, from the draft and from its attempt; others do not."""
    workspaces = two_workspaces
    lead_id, other = workspaces.add(LEADS), workspaces.add(LEADS)
    sent = add_draft(workspaces, lead_id, everlytic_message_id="m1")
    workspaces.add(ATTEMPTS, draft_id=sent, everlytic_transaction_id="t1")
    unsent = add_draft(workspaces, lead_id)
    foreign = add_draft(workspaces, other, everlytic_message_id="m2")
    workspaces.add(ATTEMPTS, draft_id=foreign, everlytic_transaction_id="t2")
    async with owner_session(workspaces) as session:
        draft_ids, names = await repository.find_messages(session, workspaces.id, [lead_id])
    assert (sorted(draft_ids), names) == (sorted([sent, unsent]), ["m1", "t1"])


def add_mentions(workspaces: TwoWorkspaces, place: str, of: Ids | None) -> dict[str, UUID]:
    """Insert replies or removed suppressions that name a person, and some that name another."""
    rows: dict[str, UUID] = {}
    if place == "replies":
        for name, from_email in (("address", ADDRESS), ("another", "bo@lead.example"), ("blank", "")):
            rows[name] = workspaces.add(REPLIES, of, from_email=from_email, message_id=name, text="Hi")
        for name, address in (("report", ADDRESS), ("another report", f"jo{ADDRESS}")):
            report = Jsonb({"kind": "bounce", "recipients": [{"addresses": ["bo@lead.example", address]}]})
            rows[name] = workspaces.add(REPLIES, of, from_email="mailer@host.example", message_id=name, report=report)
    elif place in TEXTS:
        table, column = TEXTS[place]
        for name, words in (("address", f"asked by {ADDRESS.upper()}"), ("another", f"jo{ADDRESS} called")):
            required = {"value_hash": name} if table == SUPPRESSIONS else {}
            rows[name] = workspaces.add(table, of, **{column: words}, **required)
    elif place == "message ids":
        for name, message_id in (("address", f"<{ADDRESS.upper()}>"), ("another", f"<jo{ADDRESS}>")):
            rows[name] = workspaces.add(REPLIES, of, message_id=message_id)
    else:
        for name, source, because in (
            ("address", f"asked by {ADDRESS}", "a mistake"),
            ("report", "upload", f"{ADDRESS.upper()} called"),
            ("another", f"asked by jo{ADDRESS}", f"jo{ADDRESS} called"),
        ):
            rows[name] = workspaces.add(REMOVALS, of, value_hash=name, source=source, removed_because=because)
    return rows


def add_traces(workspaces: TwoWorkspaces, place: str, of: Ids | None = None) -> dict[str, UUID | str]:
    """Insert rows of a place by what they say of a person: one for each way to find it, and some of no person."""
    ids = workspaces.ids if of is None else of
    workspace_id = ids["app.workspaces"]
    rows: dict[str, UUID | str] = {}
    if place in {"replies", "message ids", "suppression removals", *TEXTS}:
        rows |= add_mentions(workspaces, place, of)
    elif place in {"jobs", "archived jobs"}:
        table = JOBS if place == "jobs" else ARCHIVED
        errors: dict[str, dict[str, Any]] = {
            "message": {"payload": Jsonb({"draftId": "d1"}), "last_error": "refused"},
            "address": {"last_error": f"no such person: {ADDRESS.upper()}"},
            "another": {"payload": Jsonb({"draftId": "d2"}), "last_error": "no such person: joann@lead.example"},
            "without an error": {"payload": Jsonb({"draftId": "d1"})},
        }
        for name, row in errors.items():
            key = {} if place == "jobs" else {"id": uuid4(), "payload": Jsonb({}), "completed_at": NOW}
            added = workspaces.add(table, of, **{**key, "status": "completed", **row})
            rows[name] = added if place == "jobs" else f"{workspace_id} {key['id']}"
    elif place == "webhook deliveries":
        for name, body in (("message", "about d1"), ("address", ADDRESS.upper()), ("another", "about d2")):
            rows[name] = workspaces.add(DELIVERIES, of, body=body.encode(), applied_at=NOW)
    else:
        table = TRANSACTIONS if place == "transactions" else CALLBACKS
        columns: dict[str, dict[str, Any]] = {
            "message": {"message_id": "d1", "recipient": "bo@lead.example"},
            "transaction": {"transaction_id": "t1", "recipient": "bo@lead.example"},
            "address": {"recipient": ADDRESS.upper()},
            "another": {"message_id": "d2", "recipient": "bo@lead.example"},
            "blank": {"recipient": ""},
        }
        for name, row in columns.items():
            key = {"transaction_id": name} if place == "transactions" else {"event_key": name, "applied_at": NOW}
            described = Base.metadata.tables[table]
            values = row_for(described, ids, name) | key | {"raw": Jsonb({"to": ADDRESS})} | row
            insert(workspaces.owner, described, values, dict(ids))
            rows[name] = f"{workspace_id} {row.get('transaction_id', name) if place == 'transactions' else name}"
    return rows


FOUND_BY_NAME = {
    "replies": set[str](),
    "message ids": set[str](),
    "suppression removals": set[str](),
    **{place: set[str]() for place in TEXTS},
    "transactions": {"message", "transaction"},
    "callback events": {"message", "transaction"},
    "webhook deliveries": {"message"},
    "jobs": {"message"},
    "archived jobs": {"message"},
}
"""What is found in each place by the names of a person's messages."""
FOUND_BY_ADDRESS = {"replies": {"address", "report"}, "suppression removals": {"address", "report"}}
"""What the address finds in addition, where that is more than the row `address`."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("knows_address", [True, False])
async def test_traces_are_found_by_name_and_address(
    two_workspaces: TwoWorkspaces, place: str, *, knows_address: bool
) -> None:
    """In each place a trace is emptied that names a person's message or their address, and no other row.

    Without an address the names of the messages are enough, and a blank cell belongs to no person.
    """
    workspaces = two_workspaces
    rows = add_traces(workspaces, place)
    add_traces(workspaces, place, workspaces.neighbour)
    traces = Traces(
        lead_ids=[],
        draft_ids=["d1"],
        transaction_ids=["t1"],
        addresses=[ADDRESS, "ann.old@lead.example"] if knows_address else [],
        mention=MENTION if knows_address else None,
        message=f"d1|{MENTION}" if knows_address else "d1",
    )
    acted = await act_alone(workspaces, lambda session: repository.erase_in(session, workspaces.id, place, traces))
    expected = FOUND_BY_NAME[place] | (FOUND_BY_ADDRESS.get(place, {"address"}) if knows_address else set())
    assert acted.result == 0
    assert {key for changed in acted.changes.values() for key in changed} == {str(rows[name]) for name in expected}
    assert len(acted.changes) == bool(expected)


async def test_only_the_job_itself_forgets_the_address(two_workspaces: TwoWorkspaces) -> None:
    """A job that is done forgets the address of its payload, and another that waits keeps its own."""
    payload = {"leadIds": [], "address": "sealed", "addresses": ["sealed"]}
    job_id, _ = (two_workspaces.add(JOBS, payload=Jsonb(payload)) for _ in range(2))
    acted = await act_alone(two_workspaces, lambda session: repository.delete_job_payload(session, job_id))
    assert acted.after() == {JOBS: {str(job_id): {"payload": {"leadIds": []}}}}


async def test_a_person_is_all_leads_of_the_address(two_workspaces: TwoWorkspaces) -> None:
    """A person is each lead of the workspace with their address, deleted or not; who was erased is that lead alone."""
    workspaces = two_workspaces
    live = workspaces.add(LEADS, email=ADDRESS)
    deleted = [workspaces.add(LEADS, email=ADDRESS, deleted_at=NOW) for _ in range(2)]
    workspaces.add(LEADS, email="bo@lead.example")
    workspaces.add(LEADS, email="bo@lead.example", deleted_at=NOW)
    foreign = workspaces.add(LEADS, workspaces.neighbour, email=ADDRESS)
    workspaces.add(LEADS, workspaces.neighbour, email=ADDRESS, deleted_at=NOW)
    erased, _ = (workspaces.add(LEADS, email="", deleted_at=NOW, erased_at=NOW) for _ in range(2))
    person = {live, *deleted}
    async with owner_session(workspaces) as session:
        persons = [
            {lead.id for lead in await repository.lock_person(session, workspaces.id, lead_id)}
            for lead_id in (live, deleted[0], erased, foreign)
        ]
    assert persons == [person, person, {erased}, set()]


async def test_an_address_is_forgotten_alone(two_workspaces: TwoWorkspaces) -> None:
    """Of one address the suppression and its removal lose the plain value; those of others keep theirs."""
    workspaces = two_workspaces
    rows = {
        table: [
            workspaces.add(table, of, value=value, value_hash=suppression_hash(workspaces.account_id, value))
            for of in (None, workspaces.neighbour)
            for value in (ADDRESS, "bo@lead.example")
        ]
        for table in (SUPPRESSIONS, REMOVALS)
    }
    acted = await act_alone(workspaces, lambda session: repository.delete_address(session, workspaces.id, ADDRESS))
    assert acted.after() == {
        SUPPRESSIONS: {str(rows[SUPPRESSIONS][0]): {"value": None, "source": "erased"}},
        REMOVALS: {str(rows[REMOVALS][0]): {"value": None, "source": "erased", "removed_because": ""}},
    }


@pytest.mark.parametrize(
    ("source", "is_written"),
    [
        *((f"{words} {UUID(int=1)}", False) for words in ("by", "by user", "reply", "link in draft")),
        *((words, False) for words in ("by hand", "everlytic", "complained", "unsubscribed at Everlytic")),
        *((words, True) for words in (f"reply {UUID(int=1)} of Ann", "Reply of Ann", "by Ann", "file of Ann")),
    ],
)
async def test_what_users_wrote_about_a_suppression_goes(
    two_workspaces: TwoWorkspaces, source: str, *, is_written: bool
) -> None:
    """The suppression of an erased address keeps a source that is our own, and loses one that a user wrote."""
    workspaces = two_workspaces
    hashed = suppression_hash(workspaces.account_id, ADDRESS)
    row_id = workspaces.add(SUPPRESSIONS, value=ADDRESS, value_hash=hashed, source=source)
    acted = await act_alone(workspaces, lambda session: repository.delete_address(session, workspaces.id, ADDRESS))
    source_after = {"source": "erased"} if is_written else {}
    assert acted.after() == {SUPPRESSIONS: {str(row_id): {"value": None, **source_after}}}


async def test_reasons_in_the_history_of_the_leads_go(two_workspaces: TwoWorkspaces) -> None:
    """What users wrote as a reason in the history of a person's enrollments goes, and the user stays; others' stay."""
    workspaces, table = two_workspaces, "app.enrollment_events"
    lead_id, user = workspaces.add(LEADS), f"by user {UUID(int=1)}"
    own, other = (workspaces.add("app.lead_enrollments", lead_id=id_) for id_ in (lead_id, workspaces.add(LEADS)))
    written = workspaces.add(table, enrollment_id=own, cause=f"{user}: Ann is ill")
    for enrollment_id, cause in ((own, user), (own, f"reply {UUID(int=1)}"), (other, f"{user}: Bo is ill")):
        workspaces.add(table, enrollment_id=enrollment_id, cause=cause)
    traces = Traces([lead_id], [], [], [], None, None)
    acted = await act_alone(
        workspaces, lambda session: repository.erase_in(session, workspaces.id, "enrollment events", traces)
    )
    assert acted.after() == {table: {str(written): {"cause": user}}}


async def test_mailed_addresses_are_those_of_the_leads(two_workspaces: TwoWorkspaces) -> None:
    """Each address that a mail to the leads was or may have been sent to is found once; no other lead's is."""
    workspaces = two_workspaces
    lead_id, other = workspaces.add(LEADS), workspaces.add(LEADS)
    for owner, recipient in ((lead_id, ADDRESS), (lead_id, ADDRESS), (lead_id, None), (other, "bo@lead.example")):
        workspaces.add(ATTEMPTS, draft_id=add_draft(workspaces, owner), recipient=recipient)
    for owner, recipient in ((lead_id, "old@lead.example"), (lead_id, ADDRESS), (other, "jo@lead.example")):
        workspaces.add_released_claim(add_draft(workspaces, owner), recipient=recipient)
    async with owner_session(workspaces) as session:
        neighbour_id = workspaces.neighbour["app.workspaces"]
        found = [
            await repository.list_mailed_addresses(session, workspace_id, [lead_id])
            for workspace_id in (workspaces.id, neighbour_id)
        ]
    assert found == [[ADDRESS, "old@lead.example"], []]


async def test_held_addresses_are_of_other_leads(two_workspaces: TwoWorkspaces) -> None:
    """An address is held by another lead of the workspace, live or deleted, and not by the leads left out."""
    workspaces = two_workspaces
    own = workspaces.add(LEADS, email=ADDRESS)
    workspaces.add(LEADS, email="live@lead.example")
    workspaces.add(LEADS, email="deleted@lead.example", deleted_at=NOW)
    workspaces.add(LEADS, email="not.asked@lead.example")
    workspaces.add(LEADS, workspaces.neighbour, email="foreign@lead.example")
    addresses = [ADDRESS, "live@lead.example", "deleted@lead.example", "foreign@lead.example"]
    async with owner_session(workspaces) as session:
        held = await repository.list_held_addresses(session, workspaces.id, addresses, except_leads=[own])
    assert held == {"live@lead.example", "deleted@lead.example"}
