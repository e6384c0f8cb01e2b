"""Rows that a statement locks or changes are returned as they are then, whatever the session knew of them before."""

import ast
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest
from psycopg import sql
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts import repository as accounts
from api.accounts.workspaces import repository as workspaces
from api.delivery.sending import repository as sending
from api.delivery.sending.eligibility import Candidate
from api.delivery.unresolved_sends import repository as outcomes
from api.imports.repository import uploads as imports
from api.inbox.mailbox import repository as mailboxes
from api.inbox.replies import repository as replies
from api.jobs import repository as jobs
from api.outreach.drafts import repository as drafts
from api.outreach.sequences import repository as sequences
from api.people.erasure import repository as erasure
from api.people.lead_lists import repository as lists
from api.people.leads import repository as leads
from database.base import Base
from database.models import EmailDraft, EverlyticConnection, JobStatus, Lead
from domain.draft import DraftStatus
from domain.lead_import import ImportEvent
from domain.sequence import SequenceEvent
from tests.acting import owner_session
from tests.architecture.tree import Source, parse, sources
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

Read = Callable[[AsyncSession, TwoWorkspaces], Awaitable[Any]]

ACCOUNTS, USERS, CONNECTIONS = "app.accounts", "app.users", "app.everlytic_connections"
DRAFTS, ENROLLMENTS, IMPORTS, JOBS = (
    "app.email_drafts",
    "app.lead_enrollments",
    "app.lead_imports",
    "app.scheduled_jobs",
)
IMPORTS, LEADS, LISTS = "app.lead_imports", "app.leads", "app.lead_lists"
SEQUENCES, STEPS = "app.sequences", "app.sequence_steps"
UNTRIED = "a draft without an attempt"
_CONNECTION = ("transactional_url", "tenant_url", "username", "encrypted_key", "webhook_token_hash")
CONNECTION = dict.fromkeys((*_CONNECTION, "encrypted_webhook_password"), "another")
TEXT = {"status": "drafted", "subject": "Hello", "body": "Hi", "body_html": "Hi", "error_reason": None}


def of(call: Callable[..., Awaitable[Any]], table: str, *arguments: Any, **named: Any) -> Read:
    """Return the call of a statement for the workspace and its row of a table."""
    return lambda session, rows: call(session, rows.id, rows.ids[table], *arguments, **named)


def by_id(call: Callable[..., Awaitable[Any]], table: str, *arguments: Any, **named: Any) -> Read:
    """Return the call of a statement that is told no workspace."""
    return lambda session, rows: call(session, rows.ids[table], *arguments, **named)


async def change_lead(session: AsyncSession, rows: TwoWorkspaces) -> Lead:
    """Change a lead."""
    return await leads.change_lead(session, await session.get_one(Lead, rows.ids[LEADS]), {"company": "Another"})


def find_by_address(*, lock: bool) -> Read:
    """Return the search for a lead's address."""

    async def find(session: AsyncSession, rows: TwoWorkspaces) -> dict[str, Lead]:
        lead = await session.get_one(Lead, rows.ids[LEADS])
        return await leads.find_by_address(session, rows.id, [lead.email], lock=lock)

    return find


async def hold_for_probe(session: AsyncSession, rows: TwoWorkspaces) -> EverlyticConnection:
    """Block a connection for a probe."""
    connection = await session.get_one(EverlyticConnection, rows.ids[CONNECTIONS])
    assert await workspaces.lock_for_probe(session, connection, NOW)
    return connection


async def lock_mail(session: AsyncSession, rows: TwoWorkspaces) -> list[Candidate]:
    """Lock a mail and the rows that may block it, to change them."""
    return await sending.lock_candidates(session, rows.id, [rows.ids[UNTRIED]])


async def find_last(session: AsyncSession, rows: TwoWorkspaces) -> Candidate | None:
    """Find the draft that an enrollment has come to."""
    draft = await session.get_one(EmailDraft, rows.ids[UNTRIED])
    return await sending.find_last_candidate(session, rows.id, draft.enrollment_id)


READS: list[tuple[str, Read]] = [
    ("api.accounts.repository:find_account", by_id(accounts.find_account, ACCOUNTS, lock=True)),
    ("api.accounts.repository:rename_account", by_id(accounts.rename_account, ACCOUNTS, "Another")),
    ("api.accounts.repository:lock_user_and_admins", by_id(accounts.lock_user_and_admins, USERS)),
    ("api.accounts.repository:change_user", by_id(accounts.change_user, USERS, {"name": "Another"})),
    ("api.outreach.drafts.repository:lock_draft", of(drafts.lock_draft, DRAFTS)),
    (
        "api.outreach.drafts.repository:change_draft",
        of(drafts.change_draft, UNTRIED, list(DraftStatus), {"subject": "Another"}),
    ),
    (
        "api.outreach.drafts.repository:store_drafts",
        lambda session, rows: drafts.store_drafts(
            session, rows.id, [{"id": rows.ids[UNTRIED], **TEXT, "generation": {"model": "m"}}]
        ),
    ),
    ("api.people.erasure.repository:lock_person", of(erasure.lock_person, LEADS)),
    ("api.imports.repository.uploads:find_import", of(imports.find_import, IMPORTS, lock=True)),
    ("api.imports.repository.uploads:change_import", of(imports.change_import, IMPORTS, {"error": "because"})),
    (
        "api.imports.repository.uploads:apply_event",
        of(imports.apply_event, IMPORTS, ImportEvent.COMMIT_STARTED, {"state": "committing"}),
    ),
    ("api.jobs.repository:find_job", of(jobs.find_job, JOBS)),
    ("api.jobs.repository:apply_event", of(jobs.apply_event, JOBS, list(JobStatus), {"last_error": "because"})),
    ("api.people.leads.repository:find_lead", of(leads.find_lead, LEADS)),
    ("api.people.leads.repository:find_lead", of(leads.find_lead, LEADS, lock=True)),
    ("api.people.leads.repository:change_lead", change_lead),
    ("api.people.leads.repository:find_by_address", find_by_address(lock=False)),
    ("api.people.leads.repository:find_by_address", find_by_address(lock=True)),
    ("api.people.lead_lists.repository:find_list", of(lists.find_list, LISTS)),
    ("api.people.lead_lists.repository:find_list", of(lists.find_list, LISTS, lock=True)),
    ("api.people.lead_lists.repository:rename_list", of(lists.rename_list, LISTS, "Another")),
    ("api.inbox.mailbox.repository:lock_mailbox", of(mailboxes.lock_mailbox, "app.mailboxes")),
    ("api.delivery.unresolved_sends.repository:find_attempt", of(outcomes.find_attempt, DRAFTS)),
    ("api.delivery.unresolved_sends.repository:find_attempt", of(outcomes.find_attempt, DRAFTS, lock=True)),
    ("api.inbox.replies.repository:lock_reply", of(replies.lock_reply, "app.replies")),
    ("api.delivery.sending.repository:_fetch_candidates", lock_mail),
    (
        "api.delivery.sending.repository:_fetch_candidates",
        lambda session, rows: sending.list_candidates(session, rows.id, [rows.ids[UNTRIED]]),
    ),
    ("api.delivery.sending.repository:_fetch_candidates", find_last),
    (
        "api.delivery.sending.repository:list_steps",
        lambda session, rows: sending.list_steps(session, {rows.ids[SEQUENCES]}),
    ),
    ("api.outreach.sequences.repository:lock_sequence", of(sequences.lock_sequence, SEQUENCES, exclusive=False)),
    ("api.outreach.sequences.repository:lock_sequence", of(sequences.lock_sequence, SEQUENCES, exclusive=True)),
    (
        "api.outreach.sequences.repository:change_sequence",
        of(sequences.change_sequence, SEQUENCES, {"name": "Another"}),
    ),
    ("api.outreach.sequences.repository:apply_event", of(sequences.apply_event, SEQUENCES, SequenceEvent.ACTIVATED)),
    ("api.outreach.sequences.repository:list_steps", by_id(sequences.list_steps, SEQUENCES)),
    ("api.outreach.sequences.repository:change_step", of(sequences.change_step, STEPS, {"subject": "Another"})),
    (
        "api.accounts.workspaces.repository:lock_workspace",
        lambda session, rows: workspaces.lock_workspace(session, rows.id),
    ),
    (
        "api.accounts.workspaces.repository:lock_unlimited_workspace",
        lambda session, rows: workspaces.lock_unlimited_workspace(session, rows.id),
    ),
    (
        "api.accounts.workspaces.repository:change_workspace",
        lambda session, rows: workspaces.change_workspace(session, rows.id, {"name": "Another"}),
    ),
    (
        "api.accounts.workspaces.repository:put_connection",
        lambda session, rows: workspaces.put_connection(session, rows.id, CONNECTION),
    ),
    (
        "api.accounts.workspaces.repository:lock_connection",
        lambda session, rows: workspaces.lock_connection(session, rows.id),
    ),
    ("api.accounts.workspaces.repository:lock_for_probe", hold_for_probe),
]
"""What reads rows anew, by where it stands, with each way to ask it."""


def rows_in(found: Any) -> list[Any]:
    """Return the rows in what a statement returned."""
    match found:
        case Base():
            return [found]
        case Candidate():
            return [found.draft, found.enrollment, found.sequence, found.lead]
        case Mapping():
            return rows_in(list(found.values()))
    return [row for part in found or () for row in rows_in(part)]


def change_all(rows: TwoWorkspaces) -> None:
    """Change every row of the tables that say when a row was made, by another connection, and commit."""
    for table in Base.metadata.sorted_tables:
        if "created_at" in table.c:
            statement = sql.SQL("UPDATE {} SET created_at = created_at - interval '1 day'")
            rows.owner.execute(statement.format(sql.Identifier(*str(table).split("."))))


@pytest.mark.parametrize("read", [read for _, read in READS], ids=[name for name, _ in READS])
async def test_rows_are_returned_as_they_are_now(two_workspaces: TwoWorkspaces, read: Read) -> None:
    """A row that another changes after the session has read it is returned as the other has left it."""
    rows = two_workspaces
    rows.ids[UNTRIED] = rows.add_draft()
    async with owner_session(rows) as session:
        known: list[Any] = []
        for mapper in Base.registry.mappers:
            known += (await session.scalars(select(mapper.class_))).all()
        change_all(rows)
        returned: list[Any] = rows_in(await read(session, rows))
        assert returned
        for row in returned:
            assert any(row is one for one in known), "the session did not know this row"
            table = type(row).__table__
            assert row.created_at == await session.scalar(select(table.c.created_at).where(table.c.id == row.id))


def functions_in(source: Source) -> Iterator[tuple[str, ast.AsyncFunctionDef]]:
    """Yield each statement of a file that a function runs, by its id."""
    for node in source.tree.body:
        if isinstance(node, ast.AsyncFunctionDef):
            yield f"{source.module}:{node.name}", node


def reads_anew(function: ast.AST) -> bool:
    """Whether a statement replaces what the session knows of its rows."""
    return any(
        (isinstance(node, ast.Constant) and node.value == "populate_existing")
        or (isinstance(node, ast.keyword) and node.arg == "populate_existing")
        for node in ast.walk(function)
    )


def returns_locked_rows(function: ast.AST) -> bool:
    """Whether a statement locks or changes rows and returns them whole."""
    calls = [(_name_of(node.func), node) for node in ast.walk(function) if isinstance(node, ast.Call)]
    names = {name for name, _ in calls}
    whole = {
        name
        for name, call in calls
        for argument in call.args
        if isinstance(argument, ast.Name) and argument.id[:1].isupper()
    }
    is_locked = "select" in whole and bool(names & {"with_for_update", "from_statement"})
    return is_locked or ("returning" in whole and bool(names & {"update", "on_conflict_do_update"}))


def _name_of(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def test_every_statement_that_reads_again_is_listed() -> None:
    """Each statement that replaces what a session knows is asked above, and none that is gone."""
    listed = {name for source in sources("api") for name, node in functions_in(source) if reads_anew(node)}
    assert {name for name, _ in READS} == listed


def test_what_is_locked_or_changed_is_read_anew() -> None:
    """Each statement that locks or changes rows and returns them whole replaces what the session knows of them."""
    stale = [
        name
        for source in sources("api")
        for name, node in functions_in(source)
        if returns_locked_rows(node) and not reads_anew(node)
    ]
    assert stale == []


@pytest.mark.parametrize(
    "body",
    [
        "return await session.scalar(select(Lead).with_for_update())",
        "statement = update(Lead).values(**values).returning(Lead)",
        "statement = insert(Lead).on_conflict_do_update().returning(Lead)",
        "rows = await session.scalars(select(Lead).from_statement(_STORE))",
    ],
)
def test_a_seeded_stale_read_is_found(body: str) -> None:
    """The check above can fail: each way to lock or change rows and return them is seen."""
    source = parse("api/seeded/repository.py", f"async def hold(session):\n    {body}\n")
    ((name, node),) = functions_in(source)
    assert (name, returns_locked_rows(node), reads_anew(node)) == ("api.seeded.repository:hold", True, False)
