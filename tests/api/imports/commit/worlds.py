"""Small random workspaces and files, and what a commit must make of them, worked out row by row in plain Python."""

import io
import json
from csv import writer
from dataclasses import dataclass
from typing import Any

import httpx
from hypothesis import strategies as st

from tests.api.importing import Imports

WORKSPACE = {"name": "Outbound", "defaultFromName": "Ann", "defaultFromEmail": "ann@acme.example"}
BLOCKED = "blocked.example"
HEADERS = ("Email", "First Name", "Company", "Segment", "City", "Team")
FIELDS = ("firstName", "company", "segment")
CUSTOM = ("City", "Team")

Lead = dict[str, Any]

addresses = st.sampled_from([*(f"{name}@acme.example" for name in "abcdef"), f"x@{BLOCKED}", f"y@{BLOCKED}"])
names = st.sampled_from(["", "Ann", "Bo"])
segments = st.sampled_from([None, "SMB", "Enterprise"])


@dataclass(frozen=True, slots=True)
class World:
    """A workspace before an import, and the file: rows of the cells under HEADERS."""

    known: list[Lead]
    suppressed: list[str]
    rows: list[list[str]]
    policy: str


@st.composite
def known_leads(draw: st.DrawFn) -> list[Lead]:
    """Leads of different addresses, each in a list or in none."""
    return [
        {
            "email": email,
            "firstName": draw(names),
            "company": draw(names),
            "segment": draw(segments),
            "customFields": draw(st.dictionaries(st.sampled_from(CUSTOM), st.sampled_from(["Ulm", 7, True]))),
            "isListed": draw(st.booleans()),
        }
        for email in draw(st.lists(addresses, unique=True, max_size=5))
    ]


@st.composite
def cells(draw: st.DrawFn) -> list[str]:
    """A row: of an address in any case, or of none that can be used."""
    email = draw(addresses)
    written = draw(st.sampled_from([email, email, email.upper(), f" {email} ", "none", "", "a@b@c.example"]))
    row = [written, draw(names), draw(names), draw(segments) or ""]
    return [*row, draw(st.sampled_from(["", "Bonn"])), draw(st.sampled_from(["", "Blue", "7"]))]


worlds = st.builds(
    World,
    known=known_leads(),
    suppressed=st.lists(st.one_of(addresses, st.just(f"@{BLOCKED}")), unique=True, max_size=3),
    # One sound row at least, or no column is one of addresses; and blank rows are none.
    rows=st.lists(cells().filter(any), max_size=12).map(
        lambda rows: [["z@acme.example", "Zoe", "", "", "", ""], *rows]
    ),
    policy=st.sampled_from(["skip", "fill", "overwrite"]),
)


async def build(client: httpx.AsyncClient, run_jobs: Any, world: World) -> Imports:
    """Make the workspace of a world and speak to its imports."""
    made = await client.post("/api/workspaces", json=WORKSPACE)
    assert made.status_code == 201, made.text
    imports = Imports(client, made.json()["id"], run_jobs)
    list_id = (await imports.made("lead-lists", {"name": "Known"}))["id"]
    leads = [
        {name: value for name, value in lead.items() if name != "isListed"}
        | {"listId": list_id if lead["isListed"] else None}
        for lead in world.known
    ]
    if leads:
        await imports.made("leads/bulk", {"leads": leads})
    for value in world.suppressed:
        await imports.made("suppressions", {"domain": value[1:]} if value.startswith("@") else {"email": value})
    return imports


async def upload(imports: Imports, world: World) -> dict[str, Any]:
    """Upload the file of a world, each column taken for what its header says."""
    text = io.StringIO()
    file = writer(text)
    file.writerow(HEADERS)
    file.writerows(world.rows)
    made = await imports.uploaded(text.getvalue(), duplicatePolicy=world.policy)
    targets = ("email", "firstName", "company", "segment", "custom", "custom")
    columns = [{"position": position, "target": target} for position, target in enumerate(targets)]
    put = await imports.client.put(f"{imports.base}/imports/{made['id']}/mapping", json={"columns": columns})
    assert put.status_code == 200, put.text
    return made


def as_json(lead: Lead) -> str:
    """Return a lead so that leads differ where their JSON does: Python takes `true` for 1."""
    return json.dumps(lead, sort_keys=True)


def expected(world: World) -> tuple[list[str], dict[str, Lead]]:
    """Return the outcome of each row, and all leads afterwards: their values, and whether the file's list is theirs."""
    leads = {one["email"]: one for one in world.known}
    outcomes: list[str] = []
    seen: set[str] = set()
    for written, first_name, company, segment, city, team in world.rows:
        email = written.strip().lower()
        given: Lead = {"firstName": first_name, "company": company, "segment": segment or None}
        given["customFields"] = {name: cell for name, cell in (("City", city), ("Team", team)) if cell}
        if email.count("@") != 1:
            outcomes.append("invalid")
        elif email in world.suppressed or f"@{email.partition('@')[2]}" in world.suppressed:
            outcomes.append("suppressed")
        elif email in seen:
            outcomes.append("duplicateInFile")
        elif email not in leads:
            outcomes.append("new")
            leads[email] = {"email": email, **given, "isListed": True}
        else:
            after = merged(leads[email], given, world.policy)
            outcomes.append("duplicateInWorkspace" if as_json(after) == as_json(leads[email]) else "updated")
            leads[email] = after
        if email.count("@") == 1:
            seen.add(email)
    return outcomes, leads


def merged(held: Lead, given: Lead, policy: str) -> Lead:
    """Return what a known lead has after a row: blanks take nothing away, and no list means the file's."""
    if policy == "skip":
        return held
    under, over = (given, held) if policy == "fill" else (held, given)
    fields = {name: over[name] or under[name] for name in FIELDS}
    custom = {**under["customFields"], **over["customFields"]}
    return {"email": held["email"], **fields, "customFields": custom, "isListed": True}
