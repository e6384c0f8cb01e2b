import csv
import io
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email

from tests import ROOT
from tests.api.importing import Imports, counts

pytestmark = pytest.mark.anyio

LEADS_1000 = ROOT / "data" / "leads-1000.csv"
UNKNOWN_ID = "018f0000-0000-7000-8000-000000000000"
PEOPLE = "First Name,Last Name,Email,Company,City\nAnn,Lee,ann@example.com,Acme,Ulm\nBob,Roe,bob@example.com,,Bonn\n"


async def test_real_file(imports: Imports) -> None:
    """A file of a thousand leads becomes the leads that counting its addresses promises, in one list of that size."""
    data = LEADS_1000.read_bytes()
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    valid = [row for row in rows if _is_valid(row["Email 1"])]
    addresses = {row["Email 1"].strip().lower(): row for row in reversed(valid)}
    expected = {
        "new": len(addresses),
        "updated": 0,
        "duplicateInFile": len(valid) - len(addresses),
        "duplicateInWorkspace": 0,
        "suppressed": 0,
        "invalid": len(rows) - len(valid),
    }
    made = await imports.uploaded(data, "leads-1000.csv")
    assert (made["rowCount"], made["state"], made["newCount"]) == (len(rows), "mapped", None)
    assert counts(await imports.preview(made)) == {name: number for name, number in expected.items() if number}
    assert await imports.leads() == {}

    done = await imports.commit(made)
    assert {name: done[f"{name}Count"] for name in expected} == expected
    assert (await imports.get(f"lead-lists/{done['listId']}"))["leadCount"] == len(addresses)
    lead = next(iter((await imports.leads()).values()))
    row = addresses[lead["email"]]
    assert (lead["firstName"], lead["lastName"], lead["company"]) == (
        row["First Name"],
        row["Last Name"],
        row["Company"],
    )
    kept = set(row) - {"Index", "First Name", "Last Name", "Company", "Email 1"}
    assert lead["customFields"] == {name: row[name].strip() for name in kept if row[name].strip()}

    again = await imports.imported(data)
    repeated = {"duplicateInFile": len(valid) - len(addresses), "duplicateInWorkspace": len(addresses)}
    assert counts(again) == {
        name: number for name, number in {**repeated, "invalid": expected["invalid"]}.items() if number
    }


def _is_valid(cell: str) -> bool:
    try:
        validate_email(cell.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return False
    return True


@pytest.mark.parametrize(
    "data",
    [
        PEOPLE.encode("utf-8-sig"),
        PEOPLE.replace("Ann", "Änn").encode("utf-16"),
        PEOPLE.replace("Ann", "Änn").replace(",", ";").encode("cp1252"),
        PEOPLE.replace(",", "\t").replace("\n", "\r\n").encode(),
        PEOPLE.replace(",", "|").replace("\n", "\r").encode(),
        b"Exported by Someone\n\n" + PEOPLE.encode(),
    ],
)
async def test_kinds_of_files(imports: Imports, data: bytes) -> None:
    """Any encoding, delimiter and line end, and notes above the header, lead to the same leads."""
    done = await imports.imported(data)
    assert counts(done) == {"new": 2}
    leads = await imports.leads()
    assert leads["ann@example.com"]["firstName"] in {"Ann", "Änn"}
    assert leads["bob@example.com"]["customFields"] == {"City": "Bonn"}
    assert leads["bob@example.com"]["company"] == ""


async def test_every_outcome(imports: Imports) -> None:
    """Preview and commit say the same of each row, and the rows that cannot be used can be had with line and reason."""
    other = (await imports.client.post(f"{imports.base}/lead-lists", json={"name": "Other"})).json()["id"]
    known = {"email": "known@example.com", "firstName": "Kim", "listId": other}
    await imports.client.post(f"{imports.base}/leads", json=known)
    await imports.client.post(f"{imports.base}/leads", json={"email": "poor@example.com"})
    await imports.client.post(f"{imports.base}/suppressions", json={"email": "never@example.com"})
    await imports.client.post(f"{imports.base}/suppressions", json={"domain": "blocked.example.com"})
    data = (
        "Email,First Name\n"
        "new@example.com,Ann\n"
        "NEW@example.com ,Ann again\n"
        "known@example.com,Unknown\n"
        "poor@example.com,Pia\n"
        "Never@example.com,Ned\n"
        "eve@blocked.example.com,Eve\n"
        "\n"
        "not an address,Max\n"
        ",Missing\n"
        "a@server.local,Max\n"
        "x@example.com,Ann,too,many\n"
        '"open@example.com,Ann\n'
        "last@example.com,Last\n"
    )
    expected = {"new": 2, "updated": 1, "duplicateInFile": 1, "duplicateInWorkspace": 1, "suppressed": 2, "invalid": 5}
    made = await imports.uploaded(data)
    assert counts(await imports.preview(made)) == expected
    before = await imports.client.get(f"{imports.base}/imports/{made['id']}/errors.csv")
    done = await imports.commit(made)
    assert counts(done) == expected
    after = await imports.client.get(f"{imports.base}/imports/{made['id']}/errors.csv")
    assert after.text == before.text
    assert after.headers["content-type"].startswith("text/csv")
    lines = list(csv.reader(io.StringIO(after.content.decode("utf-8-sig"), newline="")))
    assert lines[0] == ["Line", "Reason", "Email", "First Name"]
    assert [(line[0], line[2:]) for line in lines[1:]] == [
        ("9", ["not an address", "Max"]),
        ("10", ["", "Missing"]),
        ("11", ["a@server.local", "Max"]),
        ("12", ["x@example.com", "Ann", "too", "many"]),
        ("13", ['"open@example.com,Ann']),
    ]
    assert all(line[1].endswith(".") for line in lines[1:])
    leads = await imports.leads()
    assert set(leads) == {"new@example.com", "known@example.com", "poor@example.com", "last@example.com"}
    assert leads["new@example.com"]["firstName"] == "Ann"
    assert (await imports.get(f"lead-lists/{done['listId']}"))["leadCount"] == 3


@pytest.mark.parametrize(
    ("policy", "outcome", "expected"),
    [
        ("skip", {"duplicateInWorkspace": 1}, ("Ann", "", {"City": "Ulm"})),
        ("fill", {"updated": 1}, ("Ann", "Acme", {"City": "Ulm", "Team": "Blue"})),
        ("overwrite", {"updated": 1}, ("Anna", "Acme", {"City": "Bonn", "Team": "Blue"})),
    ],
)
async def test_policies(
    imports: Imports, policy: str, outcome: dict[str, int], expected: tuple[str, str, dict[str, str]]
) -> None:
    """A known address is left alone, filled where it is blank, or overwritten; a blank cell takes nothing away."""
    await imports.imported("Email,First Name,Last Name,City\nann@example.com,Ann,Lee,Ulm\n")
    data = "Email,First Name,Last Name,Company,City,Team\nAnn@example.com,Anna,,Acme,Bonn,Blue\n"
    made = await imports.uploaded(data, duplicatePolicy=policy)
    assert counts(await imports.preview(made)) == outcome
    done = await imports.commit(made)
    assert counts(done) == outcome
    (lead,) = (await imports.leads()).values()
    assert (lead["firstName"], lead["company"], lead["customFields"]) == expected
    assert lead["lastName"] == "Lee"
    again = await imports.imported(data, duplicatePolicy=policy)
    assert counts(again) == {"duplicateInWorkspace": 1}


async def test_change_mapping(imports: Imports) -> None:
    """What a person settles about the columns is what the commit does, and it is marked as theirs."""
    made = await imports.uploaded("Mail,Second,Who,Size\nann@example.com,ann@home.example,Lee Ann,enterprise\n")
    columns: list[dict[str, Any]] = [
        {"position": 0, "target": "custom", "customName": "Old address"},
        {"position": 1, "target": "email"},
        {"position": 2, "target": "fullName"},
        {"position": 3, "target": "segment"},
    ]
    url = f"{imports.base}/imports/{made['id']}/mapping"
    changed = await imports.client.put(url, json={"columns": columns})
    assert changed.status_code == 200, changed.text
    assert [one["decidedBy"] for one in changed.json()["mapping"]][:2] == ["person", "person"]
    await imports.commit(made)
    lead = (await imports.leads())["ann@home.example"]
    assert (lead["firstName"], lead["lastName"], lead["segment"]) == ("Lee", "Ann", "Enterprise")
    assert lead["customFields"] == {"Old address": "ann@example.com"}
    late = await imports.client.put(url, json={"columns": columns})
    assert late.status_code == 409


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ([(0, "email")], "each of the file's 3 columns once"),
        ([(0, "email"), (1, "custom"), (1, "ignore")], "each of the file's 3 columns once"),
        ([(0, "email"), (1, "custom"), (7, "ignore")], "each of the file's 3 columns once"),
        ([(0, "custom"), (1, "custom"), (2, "ignore")], "One column must be the email address"),
        ([(0, "email"), (1, "email"), (2, "ignore")], "Only one column can be email"),
        ([(0, "email"), (1, "custom", "x"), (2, "custom", "X")], "cannot be the same custom field"),
    ],
)
async def test_impossible_mapping(imports: Imports, columns: list[tuple[Any, ...]], sentence: str) -> None:
    """A mapping that is not the file's, or claims a field twice, is refused and changes nothing."""
    made = await imports.uploaded("Email,A,B\nann@example.com,1,2\n")
    body = [{"position": one[0], "target": one[1], "customName": one[2] if len(one) > 2 else None} for one in columns]
    refused = await imports.client.put(f"{imports.base}/imports/{made['id']}/mapping", json={"columns": body})
    assert refused.status_code == 422
    assert sentence in refused.json()["detail"]
    assert await imports.get(f"imports/{made['id']}") == made


async def test_names_segments_and_zones(imports: Imports) -> None:
    """A full name is split, known segments and zones are taken, and unknown ones are kept as custom fields."""
    done = await imports.imported(
        "Full Name,Email,Segment,Time zone\n"
        "Ann Mary Lee,ann@example.com,mid market,Africa/Johannesburg\n"
        '"Roe, Bob",bob@example.com,Aliens,Mars/Base\n'
    )
    assert counts(done) == {"new": 2}
    leads = await imports.leads()
    ann, bob = leads["ann@example.com"], leads["bob@example.com"]
    assert (ann["firstName"], ann["lastName"], ann["segment"], ann["timezone"]) == (
        "Ann",
        "Mary Lee",
        "Mid-Market",
        "Africa/Johannesburg",
    )
    assert (bob["firstName"], bob["lastName"], bob["segment"], bob["timezone"]) == ("Bob", "Roe", None, None)
    assert (ann["customFields"], bob["customFields"]) == ({}, {"Segment": "Aliens", "Time zone": "Mars/Base"})


async def test_wide_file(imports: Imports) -> None:
    """Hundreds of columns become hundreds of custom fields."""
    names = [f"Field {number}" for number in range(300)]
    await imports.imported(f"Email,{','.join(names)}\nann@example.com,{','.join(names)}\n")
    (lead,) = (await imports.leads()).values()
    assert lead["customFields"] == {name: name for name in names}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty."),
        (b"Email,Name\n", "a header and no rows"),
        (b"Name,City\nAnn,Ulm\n", "No column of the file contains email addresses."),
        (b"Email\nann@example.com\nb\x00b\n", "Line 3 of the file contains a NUL byte"),
        (b"PK\x03\x04" + bytes(100), "begins as an Excel workbook or a ZIP archive and is damaged"),
        (bytes(range(256)) * 20, "NUL byte"),
        (b"Email\n" + b"x" * 2_000_000, "Line 2 is longer than"),
    ],
)
async def test_unreadable_file(imports: Imports, data: bytes, sentence: str) -> None:
    """What cannot be read as a table of people is refused in one sentence, and nothing is left of it."""
    refused = await imports.upload(data)
    assert (refused.status_code, refused.json()["code"]) == (422, "unreadable_file")
    assert sentence in refused.json()["detail"]
    assert (await imports.get("imports"))["items"] == []
    assert (await imports.get("lead-lists"))["items"] == []


async def test_bad_form(imports: Imports) -> None:
    """A missing file, an unknown policy, and a name that cannot be stored are refused."""
    answers = [
        await imports.client.post(f"{imports.base}/imports", data={"listName": "x"}),
        await imports.client.post(f"{imports.base}/imports", json={}),
        await imports.upload(PEOPLE, duplicatePolicy="guess"),
        await imports.upload(PEOPLE, listName="a\x00b"),
        await imports.upload(PEOPLE, listName="x" * 201),
    ]
    assert {answer.status_code for answer in answers} == {422}


async def test_not_there(imports: Imports) -> None:
    """An unknown import is not found, on every path that takes its id; nor is another tenant's workspace."""
    url = f"{imports.base}/imports/{UNKNOWN_ID}"
    columns = {"columns": [{"position": 0, "target": "email"}]}
    answers = [
        await imports.client.get(url),
        await imports.client.get(f"{url}/preview"),
        await imports.client.get(f"{url}/errors.csv"),
        await imports.client.post(f"{url}/commit"),
        await imports.client.put(f"{url}/mapping", json=columns),
        await imports.client.post(f"/api/workspaces/{UNKNOWN_ID}/imports", files={"file": ("x.csv", PEOPLE)}),
    ]
    assert {answer.status_code for answer in answers} == {404}


async def test_list_name(imports: Imports) -> None:
    """The list is named as requested, or after the file, whose name may be of any kind."""
    named = await imports.commit(await imports.uploaded(PEOPLE, listName="Spring"))
    unnamed = await imports.commit(await imports.uploaded(PEOPLE, "C:\\files\\spring 2026.csv"))
    names = {one["id"]: one["name"] for one in (await imports.get("lead-lists"))["items"]}
    assert names == {named["listId"]: "Spring", unnamed["listId"]: "spring 2026"}
    assert [one["id"] for one in (await imports.get("imports"))["items"]] == [unnamed["id"], named["id"]]


async def test_the_proposal_can_be_confirmed(imports: Imports) -> None:
    """The proposed mapping can be saved as it is, under headers of any length."""
    made = await imports.uploaded(f"Email,{'long ' * 60}1,{'long ' * 60}2\nann@example.com,a,b\n")
    columns = [{name: one[name] for name in ("position", "target", "customName")} for one in made["mapping"]]
    put = await imports.client.put(f"{imports.base}/imports/{made['id']}/mapping", json={"columns": columns})
    assert put.status_code == 200, put.text
    assert [one["customName"] for one in put.json()["mapping"]] == [one["customName"] for one in made["mapping"]]
