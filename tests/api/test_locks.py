"""What services have locked when they return, and what then waits for them."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts import service as accounts
from api.accounts.workspaces import service as workspaces
from api.imports import commit as commits
from api.imports import service as imports
from api.imports import undo as undos
from api.inbox.mailbox import service as mailboxes
from api.outreach.drafts import service as drafts
from api.outreach.enrollment_status import repository as status_repository
from api.outreach.enrollments import service as enrollments
from api.outreach.sequences import service as sequences
from api.people.lead_lists import repository as joining
from api.people.lead_lists import service as lists
from api.people.leads import service as leads
from database.models import DuplicatePolicy, Workspace
from tests.blocking import Blocking
from tests.database.rows import NOW

pytestmark = pytest.mark.anyio

Service = Callable[[AsyncSession, Blocking], Awaitable[Any]]

LEADS, LISTS, IMPORTS = "app.leads", "app.lead_lists", "app.lead_imports"
ROW = {"first_name": "", "last_name": "", "company": "Acme", "role": "", "segment": None, "timezone": None}


def add_leads(policy: DuplicatePolicy) -> Service:
    """Return the addition of a lead whose address is known."""

    async def add(session: AsyncSession, blocking: Blocking) -> Any:
        row: dict[str, Any] = {
            **ROW,
            "email": "thandi@lead.example",
            "list_id": blocking.ids[LISTS],
            "custom_fields": {},
        }
        return await leads.add_leads(session, blocking.workspace_id, {0: row}, policy)

    return add


async def create_lead(session: AsyncSession, blocking: Blocking) -> Any:
    """Make a lead in a list."""
    values: dict[str, Any] = {**ROW, "email": "new@lead.example", "list_id": blocking.ids[LISTS], "custom_fields": {}}
    return await leads.create_lead(session, blocking.workspace_id, values)


async def lock_user(session: AsyncSession, blocking: Blocking) -> Any:
    """Lock a user, as an admin who wants to change that user."""
    user_id = blocking.ids["app.users"]
    return await accounts.lock_user(session, user_id, by=user_id)


async def enroll(session: AsyncSession, blocking: Blocking) -> Any:
    """Enroll the lead."""
    return await enrollments.enroll_leads(
        session,
        await session.get_one(Workspace, blocking.workspace_id),
        sequence_id=blocking.ids["app.sequences"],
        lead_ids=[blocking.ids[LEADS]],
        list_id=None,
        by=UUID(int=1),
        now=NOW,
    )


def of(call: Callable[..., Awaitable[Any]], table: str, *arguments: Any, **named: Any) -> Service:
    """Return the call of a service for the workspace and its row of a table."""
    return lambda session, blocking: call(session, blocking.workspace_id, blocking.ids[table], *arguments, **named)


LOCKED: dict[str, tuple[Service, dict[str, str]]] = {
    "a lead": (of(leads.lock_lead, LEADS), {LEADS: "NO KEY UPDATE"}),
    "a lead, deleted or not": (of(leads.lock_lead_or_deleted, LEADS), {LEADS: "NO KEY UPDATE"}),
    "a lead to restore": (of(leads.restore_lead, LEADS), {LEADS: "NO KEY UPDATE"}),
    "leads to fill": (add_leads(DuplicatePolicy.FILL), {LEADS: "NO KEY UPDATE"}),
    "leads to overwrite": (add_leads(DuplicatePolicy.OVERWRITE), {LEADS: "NO KEY UPDATE"}),
    "an import": (of(imports.lock_import, IMPORTS), {IMPORTS: "NO KEY UPDATE"}),
    "an import that may expire": (of(imports.expire_import, IMPORTS, NOW), {IMPORTS: "NO KEY UPDATE"}),
    "an import to commit": (of(commits.commit_block, IMPORTS, NOW), {IMPORTS: "NO KEY UPDATE"}),
    "an import to undo": (of(undos.undo_block, IMPORTS, NOW), {IMPORTS: "NO KEY UPDATE"}),
    "a list": (of(lists.lock_list, LISTS), {LISTS: "NO KEY UPDATE"}),
    "a draft": (of(drafts.lock_draft, "app.email_drafts"), {"app.email_drafts": "NO KEY UPDATE"}),
    "a sequence": (of(sequences.lock_sequence, "app.sequences"), {"app.sequences": "NO KEY UPDATE"}),
    "a sequence as it is": (of(sequences.lock_sequence_shared, "app.sequences"), {"app.sequences": "SHARE"}),
    "a sequence to delete": (
        of(sequences.lock_to_delete, "app.sequences"),
        {"app.sequences": "NO KEY UPDATE", "app.lead_enrollments": "NO KEY UPDATE"},
    ),
    "a lead and its sequence to enroll": (enroll, {LEADS: "SHARE", "app.sequences": "SHARE"}),
    "a user": (lock_user, {"app.users": "NO KEY UPDATE"}),
    "the account": (
        lambda session, blocking: accounts.lock_account(session, blocking.ids["app.accounts"]),
        {"app.accounts": "NO KEY UPDATE"},
    ),
    "the workspace": (
        lambda session, blocking: workspaces.lock_workspace(session, blocking.workspace_id),
        {"app.workspaces": "NO KEY UPDATE"},
    ),
    "the connection": (
        lambda session, blocking: workspaces.lock_connection(session, blocking.workspace_id),
        {"app.workspaces": "NO KEY UPDATE"},
    ),
    "the connection after a call": (
        lambda session, blocking: workspaces.record_call_results(session, blocking.workspace_id, []),
        {"app.everlytic_connections": "UPDATE"},
    ),
    "the mailbox": (
        lambda session, blocking: mailboxes.lock_mailbox(session, blocking.workspace_id),
        {"app.workspaces": "NO KEY UPDATE", "app.mailboxes": "UPDATE"},
    ),
}


@pytest.fixture
def rows(blocking: Blocking) -> Blocking:
    """A workspace with a known lead in a list, an active sequence, an admin, and an import that nothing is done to."""
    blocking.run("UPDATE app.leads SET email = 'thandi@lead.example', list_id = %s", blocking.ids[LISTS])
    blocking.run("UPDATE app.users SET role = 'admin'")
    blocking.run("UPDATE app.sequences SET status = 'Active', deleted_at = NULL")
    blocking.run("UPDATE app.lead_imports SET state = 'mapped', expires_at = %s + interval '1 day'", NOW)
    return blocking


@pytest.mark.parametrize("what", LOCKED)
async def test_a_service_has_locked_what_it_returns(rows: Blocking, what: str) -> None:
    """What a service returns to be changed, or to stay as it is, is locked until the transaction ends."""
    call, modes = LOCKED[what]
    async with rows.kept_open(lambda session: call(session, rows)):
        locked = {table: rows.modes(table, [rows.ids[table]])[0] for table in modes}
    assert locked == modes


@pytest.mark.parametrize(
    "join",
    [
        create_lead,
        of(leads.restore_lead, LEADS),
        add_leads(DuplicatePolicy.SKIP),
        lambda session, blocking: leads.lock_lead(
            session, blocking.workspace_id, blocking.ids[LEADS], joins=blocking.ids[LISTS]
        ),
    ],
    ids=["a new lead", "a restored lead", "many leads", "a lead that moves"],
)
async def test_a_list_stays_while_leads_join_it(rows: Blocking, join: Service) -> None:
    """The deletion of a list waits for every transaction in which a lead joins it, and the reverse."""
    list_id = rows.ids[LISTS]

    async def close(session: AsyncSession) -> None:
        await joining.lock_exclusive(session, rows.workspace_id, list_id)

    for first, second in ((lambda session: join(session, rows), close), (close, lambda session: join(session, rows))):
        rows.run("DELETE FROM app.leads WHERE email = 'new@lead.example'")
        async with rows.kept_open(first) as side:
            waiting = await rows.start_waiting(second, side.pid)
        await waiting


async def test_enrolling_waits_before_it_locks_the_sequence(rows: Blocking) -> None:
    """A lead enrolls only after a transaction that ends the sequence and has locked only its enrollments so far."""

    async def begin_to_end(session: AsyncSession) -> None:
        await status_repository.lock_entry(session, rows.ids["app.sequences"], exclusive=True)

    async with rows.kept_open(begin_to_end) as ending:
        waiting = await rows.start_waiting(lambda session: enroll(session, rows), ending.pid)
        assert rows.modes("app.sequences", [rows.ids["app.sequences"]]) == [None]
    await waiting


async def test_a_deletion_waits_before_it_locks_enrollments(rows: Blocking) -> None:
    """The deletion of a sequence waits for a transaction that enrolls, and has locked no enrollment by then."""

    async def begin_to_enroll(session: AsyncSession) -> None:
        await status_repository.lock_entry(session, rows.ids["app.sequences"], exclusive=False)

    delete = of(sequences.lock_to_delete, "app.sequences")
    async with rows.kept_open(begin_to_enroll) as entering:
        waiting = await rows.start_waiting(lambda session: delete(session, rows), entering.pid)
        assert rows.modes("app.lead_enrollments", [rows.ids["app.lead_enrollments"]]) == [None]
    await waiting
