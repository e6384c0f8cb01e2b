from collections.abc import Iterator, Mapping

import psycopg
import pytest
from fastapi import FastAPI
from psycopg import sql

from api.http.resources import Services
from database.roles import connect, owner_url
from database.secrets import hash_credential
from tests.api.accounts.conftest import Accounts, Person
from tests.api.accounts.routes import Operation, operations
from tests.database.rows import ACCOUNTS, TABLES, WORKSPACES, Ids, fill_every_table, quote_table_name

pytestmark = pytest.mark.anyio

WORKSPACE = {"name": "Mine", "defaultFromName": "Ann", "defaultFromEmail": "ann@acme.example"}
FOR_ADMINS = {
    "changeAccount",
    "changeUser",
    "createUser",
    "createWorkspace",
    "deleteEverlyticConnection",
    "deleteUser",
    "deleteWorkspace",
    "putEverlyticConnection",
}
FIGURES = {
    *("getAggregate", "getCampaignMetrics", "getTimeseries", "listCampaignMetrics"),
    *("exportAggregate", "exportCampaignMetrics", "exportStepMetrics", "exportTimeseries"),
}
"""What is there once dbt has built it."""
NEED_MORE = FIGURES | {"previewSequenceStep"}
"""What asks for more than is in the path, and finds nothing without it."""
WITH_IDS = [one for one in operations() if one.named]


@pytest.fixture
def owner(database_url: str, services: Services) -> Iterator[psycopg.Connection]:
    """The owner of the tables, who sees every tenant's rows."""
    with connect(owner_url(database_url)) as connection:
        yield connection


@pytest.fixture
def theirs(owner: psycopg.Connection) -> Ids:
    """The ids of another tenant, who has a row in every table."""
    ids = fill_every_table(owner, "theirs")
    # A send is there to be settled once its outcome is unknown; whose its draft is, no foreign key says.
    owner.execute("UPDATE app.send_attempts SET outcome = 'unknown'")
    owner.execute(
        "UPDATE app.email_drafts AS draft SET lead_id = enrollment.lead_id, sequence_id = enrollment.sequence_id"
        " FROM app.lead_enrollments AS enrollment WHERE enrollment.id = draft.enrollment_id"
    )
    return ids


async def workspace_of(person: Person) -> str:
    """Make a workspace and return its id."""
    made = await person.client.post("/api/workspaces", json=WORKSPACE)
    assert made.status_code == 201, made.text
    workspace_id: str = made.json()["id"]
    return workspace_id


def rows_of(owner: psycopg.Connection, ids: Mapping[str, object]) -> dict[str, list[str]]:
    """Return everything that a tenant has, as text."""
    found = {}
    for table in TABLES:
        column = {ACCOUNTS: "id", WORKSPACES: "id"}.get(str(table), "workspace_id")
        if column not in table.c:
            column = "account_id"
        if column in table.c:
            tenant = ids[ACCOUNTS] if str(table) == ACCOUNTS or column == "account_id" else ids[WORKSPACES]
            statement = sql.SQL("SELECT t::text FROM {} AS t WHERE {} = %s ORDER BY 1")
            rows = owner.execute(statement.format(quote_table_name(table), sql.Identifier(column)), [tenant])
            found[str(table)] = [row for (row,) in rows]
    return found


async def answers(app: FastAPI, person: Person, called: list[Operation], ids: Mapping[str, object]) -> dict[str, str]:
    """Return what each operation answers to a request that is well formed, where that is not 404."""
    found = {}
    for one in called:
        response = await person.client.request(one.method, one.url(ids), **one.request(app))
        if response.status_code != 404:
            found[one.name] = f"{response.status_code}: {response.text[:300]}"
    return found


async def test_another_tenants_ids_do_not_exist(
    app: FastAPI, owner: psycopg.Connection, admin: Person, theirs: Ids
) -> None:
    """Every route with an id in its path answers 404 to all ids of another account, and changes nothing of theirs."""
    before = rows_of(owner, theirs)

    assert await answers(app, admin, WITH_IDS, theirs) == {}
    assert rows_of(owner, theirs) == before


async def test_another_tenants_things_are_not_in_ones_own_workspace(
    app: FastAPI, owner: psycopg.Connection, admin: Person, theirs: Ids
) -> None:
    """Every route under a workspace answers 404 to ids of another one's things, and changes nothing of theirs."""
    mixed = {**theirs, WORKSPACES: await workspace_of(admin)}
    before = rows_of(owner, theirs)
    below = [one for one in WITH_IDS if set(one.named.values()) != {WORKSPACES} and one.name not in FIGURES]

    assert await answers(app, admin, below, mixed) == {}
    assert rows_of(owner, theirs) == before


async def test_ones_own_things_are_there(
    app: FastAPI, owner: psycopg.Connection, accounts: Accounts, theirs: Ids
) -> None:
    """Who owns the ids finds something at each of these addresses, so that the tests above prove something."""
    owner.execute("UPDATE app.api_keys SET secret_hash = %s", [hash_credential("sm_theirs")])
    them = Person(str(theirs["app.users"]), str(theirs["app.api_keys"]), await accounts.caller("sm_theirs"))
    shown = [one for one in WITH_IDS if one.method == "GET" and one.name not in NEED_MORE]

    assert {one.name for one in shown} - set(await answers(app, them, shown, theirs)) == set()


async def test_a_deleted_workspace_does_not_exist(app: FastAPI, admin: Person, theirs: Ids) -> None:
    """From the deletion on, everything under a workspace answers 404, to its own account too."""
    mine = {**theirs, WORKSPACES: await workspace_of(admin)}
    assert (await admin.client.delete(f"/api/workspaces/{mine[WORKSPACES]}")).status_code == 204

    assert await answers(app, admin, [one for one in WITH_IDS if WORKSPACES in one.named.values()], mine) == {}
    assert (await admin.client.get("/api/workspaces")).json()["items"] == []


async def test_what_is_for_admins_is_refused_to_members(
    app: FastAPI, owner: psycopg.Connection, admin: Person, member: Person, theirs: Ids
) -> None:
    """Each operation for admins answers 403 to a member and changes nothing; to an admin it does not."""
    for_admins = [one for one in operations() if one.is_for_admins]
    assert {one.name for one in for_admins} >= FOR_ADMINS
    me = (await admin.client.get("/api/me")).json()
    mine = {**theirs, WORKSPACES: await workspace_of(admin), "app.users": member.id, ACCOUNTS: me["account"]["id"]}
    before = rows_of(owner, mine)

    refused = await answers(app, member, for_admins, mine)
    assert {name: answer[:3] for name, answer in refused.items()} == {one.name: "403" for one in for_admins}
    assert rows_of(owner, mine) == before
    allowed = await answers(app, admin, [one for one in for_admins if not one.name.startswith("delete")], mine)
    assert "403" not in {answer[:3] for answer in allowed.values()}
