from typing import Any

import pytest

from tests.api.importing import OUTCOMES, Imports, Tables, counts, in_blocks

pytestmark = pytest.mark.anyio

MANY = 12
"""More rows of each outcome than are shown."""
POLICIES = ["skip", "fill", "overwrite"]


async def add(imports: Imports, *leads: dict[str, Any]) -> dict[str, str]:
    """Make leads and return their ids by address."""
    answer = await imports.made("leads/bulk", {"leads": list(leads)})
    return {lead["email"]: row["leadId"] for lead, row in zip(leads, answer["results"], strict=True)}


@pytest.mark.parametrize("policy", POLICIES)
async def test_ten_of_each_in_the_order_of_the_file(imports: Imports, policy: str) -> None:
    """Rows of all outcomes, in turn: each is counted, and of each the first ten are shown as they stand in the file."""
    list_id = (await imports.made("lead-lists", {"name": "Known"}))["id"]
    known = [{"email": f"known{n}@example.com", "listId": list_id, "firstName": "Ann"} for n in range(MANY)]
    poor = [{"email": f"poor{n}@example.com", "listId": list_id} for n in range(MANY)]
    ids = await add(imports, *known, *poor)
    for n in range(MANY):
        await imports.made("suppressions", {"email": f"never{n}@example.com"})
    rows = [
        row
        for n in range(MANY)
        for row in (
            ("new", f" New{n}@Example.com,Ann"),
            ("duplicateInFile", f"new{n}@example.com,Bob"),
            ("duplicateInWorkspace", f"known{n}@example.com,Ann"),
            ("duplicateInWorkspace" if policy == "skip" else "updated", f"poor{n}@example.com,Pia"),
            ("suppressed", f"never{n}@example.com,Ned"),
            ("invalid", f"invalid{n},Max"),
        )
    ]
    lines: dict[str, list[int]] = {outcome: [] for outcome in OUTCOMES}
    for line, (outcome, _) in enumerate(rows, start=2):
        lines[outcome].append(line)
    text = "Email,First Name\n" + "".join(f"{row}\n" for _, row in rows)
    found = await imports.preview(await imports.uploaded(text, duplicatePolicy=policy))

    assert counts(found) == {outcome: len(of_one) for outcome, of_one in lines.items() if of_one}
    shown = found["samples"]
    assert {outcome: [row["lineNumber"] for row in shown[outcome]] for outcome in OUTCOMES} == {
        outcome: of_one[:10] for outcome, of_one in lines.items()
    }
    for outcome in OUTCOMES:
        for row in shown[outcome]:
            assert row["cells"] == rows[row["lineNumber"] - 2][1].split(",")
            assert (row["reason"] is not None) is (outcome == "invalid") is (row["email"] is None)
            assert (row["values"] or {}).get("firstName") == (None if outcome == "invalid" else row["cells"][1])
            assert row["firstLine"] == (row["lineNumber"] - 1 if outcome == "duplicateInFile" else None)
            assert row["leadId"] == ids.get(row["email"] or "")
            assert (row["differences"] != []) is (outcome == "updated")
    assert shown["new"][0]["email"] == "new0@example.com"
    blank: dict[str, Any] = {
        "lastName": "",
        "company": "",
        "role": "",
        "segment": None,
        "timezone": None,
        "customFields": {},
    }
    assert shown["new"][0]["values"] == {"firstName": "Ann", **blank}


RICH = {
    "email": "ann@example.com",
    "firstName": "Ann",
    "company": "Acme",
    "segment": "SMB",
    "customFields": {"City": "Ulm", "Age": 41},
}
ROW = (
    "Email,First Name,Last Name,Company,Segment,Time zone,City,Age,Team\n"
    "ann@example.com,Anna,Lee,,Enterprise,Africa/Johannesburg,Bonn,,Blue\n"
)
FILLED = {
    "lastName": ("", "Lee"),
    "timezone": (None, "Africa/Johannesburg"),
    "customFields.Team": (None, "Blue"),
}
WRITTEN_OVER = {
    **FILLED,
    "firstName": ("Ann", "Anna"),
    "segment": ("SMB", "Enterprise"),
    "customFields.City": ("Ulm", "Bonn"),
}


@pytest.mark.parametrize(("policy", "expected"), [("fill", FILLED), ("overwrite", WRITTEN_OVER)])
async def test_differences(imports: Imports, policy: str, expected: dict[str, tuple[Any, Any]]) -> None:
    """An update is shown field by field, custom ones by name, and is what the commit then does to the lead."""
    list_id = (await imports.made("lead-lists", {"name": "Known"}))["id"]
    await add(imports, {**RICH, "listId": list_id})
    made = await imports.uploaded(ROW, duplicatePolicy=policy)
    (row,) = (await imports.preview(made))["samples"]["updated"]
    assert {one["field"]: (one["before"], one["after"]) for one in row["differences"]} == expected

    await imports.commit(made)
    lead = (await imports.leads())["ann@example.com"]
    flat = lead | {f"customFields.{name}": value for name, value in lead["customFields"].items()}
    assert {name: flat[name] for name in expected} == {name: after for name, (_, after) in expected.items()}
    assert (lead["company"], lead["customFields"]["Age"], lead["listId"]) == ("Acme", 41, list_id)


@pytest.mark.parametrize("policy", POLICIES)
async def test_joining_the_list_is_a_change(imports: Imports, policy: str) -> None:
    """A known lead that is in no list joins that of the file, unless known ones are skipped; the preview says so."""
    await add(imports, {"email": "ann@example.com", "firstName": "Ann"})
    made = await imports.uploaded("Email,First Name\nann@example.com,Ann\n", duplicatePolicy=policy)
    before = await imports.preview(made)
    done = await imports.commit(made)
    lead = (await imports.leads())["ann@example.com"]
    if policy == "skip":
        assert counts(done) == {"duplicateInWorkspace": 1}
        assert lead["listId"] is None
    else:
        assert counts(done) == {"updated": 1}
        assert lead["listId"] == done["listId"]
    assert counts(before) == counts(done)


@pytest.mark.parametrize("policy", POLICIES)
async def test_nothing_is_written(imports: Imports, tables: Tables, workspace: str, policy: str) -> None:
    """However often a preview is looked at, no table has a row more or less, and no lead is any different."""
    list_id = (await imports.made("lead-lists", {"name": "Known"}))["id"]
    await add(imports, {"email": "ann@example.com"}, {"email": "bob@example.com", "listId": list_id})
    text = "Email,First Name\nann@example.com,Ann\nbob@example.com,Bob\nnew@example.com,Eve\nnobody,Max\n"
    made = await imports.uploaded(text, duplicatePolicy=policy)
    before = (tables.counts(), tables.leads(workspace), tables.lists(workspace))
    first = await imports.preview(made)
    assert await imports.preview(made) == first
    assert (tables.counts(), tables.leads(workspace), tables.lists(workspace)) == before
    assert await imports.get(f"imports/{made['id']}") == made


async def test_many_blocks(imports: Imports) -> None:
    """Known addresses in the last block of three are found and compared there, and shown with their own cells."""
    list_id = (await imports.made("lead-lists", {"name": "Known"}))["id"]
    await add(
        imports,
        {"email": "same@example.com", "firstName": "Ann", "listId": list_id},
        {"email": "other@example.com", "firstName": "", "listId": list_id},
    )
    blocks = [[f"b{block}r{row}@example.com,Eve" for row in range(5)] for block in range(3)]
    blocks[2][1:3] = ["same@example.com,Ann", "other@example.com,Bob"]
    blocks[1][4] = "b0r0@example.com,Again"
    made = await imports.uploaded(in_blocks("Email,First Name", *blocks))
    found = await imports.preview(made)
    expected = {"new": 12, "updated": 1, "duplicateInWorkspace": 1, "duplicateInFile": 1}
    assert counts(found) == expected
    (updated,), (again,) = found["samples"]["updated"], found["samples"]["duplicateInFile"]
    assert (updated["lineNumber"], updated["cells"][:2]) == (14, ["other@example.com", "Bob"])
    assert updated["differences"] == [{"field": "firstName", "before": "", "after": "Bob"}]
    assert (again["lineNumber"], again["firstLine"], again["cells"][1]) == (11, 2, "Again")
    assert counts(await imports.commit(made)) == expected


async def test_damaged_rows(imports: Imports) -> None:
    """A row that is no record is shown with the cells it has, why it cannot be used, and no values."""
    found = await imports.preview(await imports.uploaded("Email,Name\na@example.com,Ann,too,many\nb@example.com,B\n"))
    (row,) = found["samples"]["invalid"]
    assert (row["lineNumber"], row["cells"]) == (2, ["a@example.com", "Ann", "too", "many"])
    assert (row["reason"], row["values"]) == ("The row has 4 cells where the header has 2.", None)


async def test_what_has_changed_since(imports: Imports) -> None:
    """A preview is of now: a lead made since, one deleted since and an address suppressed since all count."""
    ids = await add(imports, {"email": "gone@example.com"})
    made = await imports.uploaded("Email\nmade@example.com\ngone@example.com\nno@example.com\n", duplicatePolicy="skip")
    assert counts(await imports.preview(made)) == {"new": 2, "duplicateInWorkspace": 1}
    await add(imports, {"email": "made@example.com"})
    await imports.client.delete(f"{imports.base}/leads/{ids['gone@example.com']}")
    await imports.made("suppressions", {"email": "no@example.com"})
    found = await imports.preview(made)
    assert counts(found) == {"new": 1, "duplicateInWorkspace": 1, "suppressed": 1}
    assert found["samples"]["new"][0]["email"] == "gone@example.com"
    assert counts(await imports.commit(made)) == counts(found)
