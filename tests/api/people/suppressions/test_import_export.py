import asyncio
import csv
import io
from operator import itemgetter
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from api.accounts import service as accounts
from api.http.resources import Services
from database.tenancy import Scope, transaction

pytestmark = pytest.mark.anyio

MANY = 30_000
UNKNOWN_ID = "018f0000-0000-7000-8000-000000000000"


@pytest.fixture
def url(workspace: str) -> str:
    """Where the workspace's suppressions are."""
    return f"/api/workspaces/{workspace}/suppressions"


async def import_file(client: httpx.AsyncClient, url: str, data: str | bytes, **form: str) -> httpx.Response:
    """Upload a file."""
    raw = data.encode() if isinstance(data, str) else data
    return await client.post(f"{url}/import", files={"file": ("block list.csv", raw)}, data=form)


async def listed(client: httpx.AsyncClient, url: str) -> dict[str, dict[str, Any]]:
    """Return all suppressions by value, without what an export does not hold."""
    found = (await client.get(url, params={"limit": 500})).json()["items"]
    return {one["value"]: {name: one[name] for name in one if name != "id"} for one in found}


async def exported(client: httpx.AsyncClient, url: str) -> list[dict[str, str]]:
    """Return the rows of an export."""
    response = await client.get(f"{url}/export")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))


async def test_import(app_client: httpx.AsyncClient, url: str) -> None:
    """Each row of a file is added, stood already, or is reported with its line."""
    await app_client.post(url, json={"email": "known@example.com"})
    data = "Name,Email\nAnn,ann@example.com\nAnn,ANN@example.com\nKim,known@example.com\nMax,max\nDom,@example.org\n"

    taken = await import_file(app_client, url, data, reason="unsubscribed", scope="workspace")

    assert taken.status_code == 200
    invalid = taken.json().pop("invalid")
    assert taken.json() == {"added": 2, "already": 2, "invalid": invalid, "invalidCount": 1}
    assert [(one["line"], one["value"]) for one in invalid] == [(5, "max")]
    found = await listed(app_client, url)
    assert {value: one["reason"] for value, one in found.items()} == {
        "ann@example.com": "unsubscribed",
        "known@example.com": "unsubscribed",
        "@example.org": "domain",
    }
    assert found["ann@example.com"]["source"] == "imported from block list.csv"


async def test_own_word_stands(app_client: httpx.AsyncClient, url: str) -> None:
    """A file replaces a reason that was concluded by what people said, and never the reverse, within the file too."""
    for reason in ("complaint", "hard_bounce"):
        body = {"email": f"{reason}@example.com", "reason": reason, "scope": "workspace"}
        await app_client.post(url, json=body)
    rows = ["email,complaint@example.com,,manual", "email,hard_bounce@example.com,,unsubscribed"]
    rows += ["email,new@example.com,,manual", "email,new@example.com,,complaint", "email,new@example.com,,manual"]

    file = "\n".join(["kind,value,valueHash,reason", *rows, ""])
    taken = await import_file(app_client, url, file, scope="workspace")

    assert (taken.json()["added"], taken.json()["already"]) == (1, 4)
    assert {value: one["reason"] for value, one in (await listed(app_client, url)).items()} == {
        "complaint@example.com": "complaint",
        "hard_bounce@example.com": "unsubscribed",
        "new@example.com": "complaint",
    }


async def test_there_and_back(app_client: httpx.AsyncClient, url: str, database_url: str) -> None:
    """What is exported, lost and imported again is what it was: reasons, times, odd addresses and bare hashes."""
    odd = ["=cmd@example.com", "+plus@example.com", "-minus@example.com", "'quoted@example.com", "'=both@example.com"]
    for number, email in enumerate(["ann@example.com", "erased@example.com", *odd]):
        reason = ("manual", "complaint", "unsubscribed", "hard_bounce")[number % 4]
        body = {"email": email, "reason": reason, "source": f'=HYPERLINK("{number}")\nüber,'}
        assert (await app_client.post(url, json=body)).status_code == 201
    await app_client.post(url, json={"domain": "example.org", "source": "'+x"})
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute("UPDATE app.suppressions SET value = NULL WHERE value = 'erased@example.com'")
    before = await listed(app_client, url)
    file = (await app_client.get(f"{url}/export")).content
    rows = await exported(app_client, url)
    assert not any(cell[:1] in "=+-@\t\r" for row in rows for cell in row.values() if cell)
    assert [row["value"] for row in rows if row["kind"] == "domain"] == ["example.org"]
    assert [row["value"] for row in rows].count("") == 1

    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute("DELETE FROM app.suppressions")
    taken = (await import_file(app_client, url, file)).json()

    assert taken == {"added": len(before), "already": 0, "invalid": [], "invalidCount": 0}
    assert await listed(app_client, url) == before
    by_hash = itemgetter("valueHash")
    assert sorted(await exported(app_client, url), key=by_hash) == sorted(rows, key=by_hash)
    again = (await import_file(app_client, url, file)).json()
    assert (again["added"], again["already"]) == (0, len(before))
    # The hash alone still says which address not to mail.
    found = (await app_client.get(url, params={"value": "erased@example.com"})).json()["items"]
    assert [one["value"] for one in found] == [None]


async def test_a_hash_of_another_account(
    app_client: httpx.AsyncClient, url: str, services: Services, database_url: str
) -> None:
    """An export of another account brings its addresses, and says of bare hashes that they are of another account.

    Another workspace of the same account takes both.
    """
    for email in ("ann@example.com", "erased@example.com"):
        await app_client.post(url, json={"email": email})
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute("UPDATE app.suppressions SET value = NULL WHERE value = 'erased@example.com'")
    file = (await app_client.get(f"{url}/export")).content
    body = {"name": "Second", "defaultFromName": "Ann", "defaultFromEmail": "ann@acme.example"}
    other = (await app_client.post("/api/workspaces", json=body)).json()["id"]
    beside = f"/api/workspaces/{other}/suppressions"
    taken = (await import_file(app_client, beside, file)).json()
    assert (taken["added"], taken["invalidCount"]) == (2, 0)
    assert set(await listed(app_client, beside)) == {"ann@example.com", None}

    async with transaction(services.pool, Scope()) as session:
        eve = await accounts.create_account(session, name="Other", user_name="Eve", email="eve@other.example")
    app_client.headers["Authorization"] = f"Bearer {eve.api_key}"
    other = (await app_client.post("/api/workspaces", json=body)).json()["id"]
    elsewhere = f"/api/workspaces/{other}/suppressions"
    taken = (await import_file(app_client, elsewhere, file)).json()

    assert (taken["added"], taken["invalidCount"]) == (1, 1)
    assert "from another account" in taken["invalid"][0]["message"]
    assert list(await listed(app_client, elsewhere)) == ["ann@example.com"]


async def test_erased_stays_erased(app_client: httpx.AsyncClient, url: str, database_url: str) -> None:
    """A file that names an erased person does not bring the plain address back."""
    await app_client.post(url, json={"email": "erased@example.com"})
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute("UPDATE app.suppressions SET value = NULL")
    taken = (await import_file(app_client, url, "email\nerased@example.com\n")).json()
    assert (taken["added"], taken["already"]) == (0, 1)
    await import_file(app_client, url, "email\nerased@example.com\n", scope="account")
    await app_client.post(url, json={"email": "erased@example.com", "reason": "complaint"})
    items = (await app_client.get(url)).json()["items"]
    assert [(one["value"], one["scope"]) for one in items] == [(None, "account"), (None, "workspace")]


async def test_many(app_client: httpx.AsyncClient, url: str) -> None:
    """Tens of thousands of rows, more than a block holds, are one call; the first hundred invalid ones are reported."""
    rows = [f"person{number}@example.com,{'x' * 150}" for number in range(MANY)]
    rows += ["no address,x"] * 150
    taken = (await import_file(app_client, url, "\n".join(["email,note", *rows, *rows[:10]]))).json()
    assert (taken["added"], taken["already"], taken["invalidCount"]) == (MANY, 10, 150)
    assert [one["line"] for one in taken["invalid"]] == list(range(MANY + 2, MANY + 102))
    assert len(await exported(app_client, url)) == MANY


async def test_two_files_at_once(app_client: httpx.AsyncClient, url: str) -> None:
    """Two files with the same addresses in other orders, taken at once, suppress each address once."""
    rows = [f"p{number}@example.com" for number in range(500)]
    files = ("\n".join(["email", *rows]), "\n".join(["email", *rows[::-1]]))
    taken = await asyncio.gather(*(import_file(app_client, url, file) for file in files))
    assert [one.status_code for one in taken] == [200, 200]
    assert sum(one.json()["added"] for one in taken) == sum(one.json()["already"] for one in taken) == len(rows)


async def test_import_twice_by_one_key(app_client: httpx.AsyncClient, url: str) -> None:
    """A file sent again under its Idempotency-Key is answered as it was, though the form's boundary is another."""
    headers = {"Idempotency-Key": "one"}
    file = {"file": ("x.csv", b"email\nann@example.com\n")}
    first = await app_client.post(f"{url}/import", files=file, headers=headers)
    second = await app_client.post(f"{url}/import", files=file, headers=headers)
    assert first.json() == second.json()
    assert first.json()["added"] == 1
    other = {"file": ("x.csv", b"email\nbob@example.com\n")}
    assert (await app_client.post(f"{url}/import", files=other, headers=headers)).status_code == 409


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty."),
        (b"Name,City\nAnn,Ulm\n", "No column of the file contains email addresses or domains"),
        (b"Email\nann@example.com\nb\x00b\n", "Line 3 of the file contains a NUL byte"),
        (b"PK\x03\x04" + bytes(100), "Excel workbook"),
        (b"Email\n" + b"x" * 10_000_000, "Line 2 is longer than"),
    ],
)
async def test_unreadable_file(app_client: httpx.AsyncClient, url: str, data: bytes, sentence: str) -> None:
    """A file that cannot be read as a list of suppressions is refused in one sentence, and nothing is imported."""
    refused = await import_file(app_client, url, data)
    assert (refused.status_code, refused.json()["code"]) == (422, "unreadable_file")
    assert sentence in refused.json()["detail"]
    assert await listed(app_client, url) == {}


async def test_bad_form(app_client: httpx.AsyncClient, url: str) -> None:
    """No file, a reason that is none, one that is a domain's alone, and a source that cannot be stored are refused."""
    good = "email\nann@example.com\n"
    answers = [
        await app_client.post(f"{url}/import", data={"reason": "manual"}),
        await app_client.post(f"{url}/import", json={}),
        await import_file(app_client, url, good, reason="because"),
        await import_file(app_client, url, good, reason="domain"),
        await import_file(app_client, url, good, source="a\x00b"),
        await import_file(app_client, url, good, source="x" * 501),
    ]
    assert {answer.status_code for answer in answers} == {422}
    assert await listed(app_client, url) == {}


async def test_not_there(app: FastAPI, app_client: httpx.AsyncClient) -> None:
    """Another tenant's workspace has neither import nor export."""
    url = f"/api/workspaces/{UNKNOWN_ID}/suppressions"
    assert (await import_file(app_client, url, "email\nann@example.com\n")).status_code == 404
    assert (await app_client.get(f"{url}/export")).status_code == 404
    assert (await app_client.get(f"{url}/removals")).status_code == 404
