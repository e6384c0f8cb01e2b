from typing import Any

import pytest

from tests.api.importing import Imports, Tables, Worker, counts, in_blocks, mapped

pytestmark = pytest.mark.anyio

HUBSPOT = """\
Record ID,First Name,Last Name,Email,Company Name,Unsubscribed from all email,Email hard bounce reason,Lead Status
1001,Amina,Diallo,amina@saheltex.example,Sahel Tex,false,,New
1002,Bram,de Wit,bram@dewitbouw.example,De Wit Bouw,true,,Open
1003,Carla,Rossi,carla@rossivini.example,Rossi Vini,,UNKNOWN_USER,Open
1004,Dieter,Kurz,dieter@kurzmetall.example,Kurz Metall,TRUE,,Unqualified
"""
SALESFORCE = """\
"First Name";"Last Name";"Email";"Account Name";"Email Opt Out";"Do Not Contact"
"Eve";"Nkosi";"eve@nkosi-law.example";"Nkosi Law";"1";"0"
"Finn";"Olsen";"finn@olsenfisk.example";"Olsen Fisk";"0";"1"
"Gita";"Rao";"gita@raosoft.example";"Raosoft";"0";"0"
"""
FILES = {
    "hubspot": (HUBSPOT, {"amina"}, {"bram": "unsubscribed", "carla": "hard_bounce", "dieter": "unsubscribed"}),
    "salesforce": (SALESFORCE, {"gita"}, {"eve": "unsubscribed", "finn": "unsubscribed"}),
    "mailchimp": (
        (
            "Email Address,MEMBER_RATING,Status\n"
            "a@x.example,2,subscribed\nb@x.example,2,unsubscribed\nc@x.example,1,cleaned\nd@x.example,3,Complained\n"
        ),
        {"a"},
        {"b": "unsubscribed", "c": "hard_bounce", "d": "complaint"},
    ),
    "german": (
        "Vorname;E-Mail;Abgemeldet am\nAnna;a@x.example;\nBert;b@x.example;03.04.2024\nCora;c@x.example;0\n",
        {"a", "c"},
        {"b": "unsubscribed"},
    ),
    "dutch": (
        "Voornaam;E-mail;Niet mailen\nAnna;a@x.example;nee\nBert;b@x.example;ja\nCora;c@x.example;\n",
        {"a", "c"},
        {"b": "unsubscribed"},
    ),
    "do not contact": ("Email,DNC\na@x.example,N\nb@x.example,Y\nc@x.example,\n", {"a", "c"}, {"b": "unsubscribed"}),
    "not allowed": (
        "Email,Do not allow Bulk Emails\na@x.example,Allow\nb@x.example,Do Not Allow\n",
        {"a"},
        {"b": "unsubscribed"},
    ),
    "subscribed": (
        "Email,Subscribed\na@x.example,true\nb@x.example,false\nc@x.example,\n",
        {"a", "c"},
        {"b": "unsubscribed"},
    ),
}


def suppressed(tables: Tables, workspace: str) -> dict[str, str]:
    """Return the reasons of the workspace's suppressions by the part of the address before the @."""
    statement = (
        "SELECT value, reason FROM app.suppressions JOIN app.workspaces AS workspace USING (account_id)"
        " WHERE workspace.id = %s"
    )
    rows = tables.run(statement, workspace)
    return {row["value"].partition("@")[0]: row["reason"] for row in rows}


@pytest.mark.parametrize("name", FILES)
async def test_people_who_opted_out_become_suppressions_and_no_leads(
    imports: Imports, tables: Tables, workspace: str, name: str
) -> None:
    """By the proposed mapping opt-outs are counted, shown in the preview and suppressed; the others become leads."""
    text, leads, opt_outs = FILES[name]
    made = await imports.uploaded(text)
    assert "optOut" in mapped(made).values()
    assert made["optedOutCount"] == len(opt_outs)

    preview = await imports.preview(made)
    reasons = list(opt_outs.values())
    assert preview["optedOut"] == {
        "unsubscribed": reasons.count("unsubscribed"),
        "hardBounce": reasons.count("hard_bounce"),
        "complaint": reasons.count("complaint"),
    }
    shown = {row["email"].partition("@")[0]: row["optOut"] for row in preview["samples"]["suppressed"]}
    assert shown == opt_outs
    assert {row["optOut"] for row in preview["samples"]["new"]} == {None}
    assert suppressed(tables, workspace) == {}

    done = await imports.commit(made)
    assert counts(done) == {"new": len(leads), "suppressed": len(opt_outs)} == counts(preview)
    assert done["optedOutCount"] == len(opt_outs)
    assert {address.partition("@")[0] for address in await imports.leads()} == leads
    assert suppressed(tables, workspace) == opt_outs


async def test_an_undo_takes_back_no_opt_out(imports: Imports, tables: Tables, workspace: str) -> None:
    """An undo removes the leads of a file and none of its suppressions; a second commit makes the same leads."""
    done = await imports.imported(SALESFORCE)
    await imports.undo(done)
    assert await imports.leads() == {}
    assert suppressed(tables, workspace) == {"eve": "unsubscribed", "finn": "unsubscribed"}
    again = await imports.commit(done)
    assert counts(again) == counts(done)
    assert suppressed(tables, workspace) == {"eve": "unsubscribed", "finn": "unsubscribed"}


async def test_a_no_in_one_row_counts_for_all_rows_with_the_address(
    imports: Imports, tables: Tables, worker: Worker, workspace: str
) -> None:
    """A no on the last line holds for the first one, in another block, before the block with the no is committed.

    The strongest reason counts, and the rows beside it become leads.
    """
    first = [f"{name}@x.example,0" for name in ("ann", "n1", "n2", "n3", "n4")]
    last = ["ANN@x.example,1", "ann@x.example,complained", "n5@x.example,0", "n6@x.example,0", "n7@x.example,0"]
    made = await imports.uploaded(in_blocks("Email,Email Opt Out", first, last))
    assert made["optedOutCount"] == 3
    await imports.start(made, "commit")
    assert await worker.commit_block(made)
    assert suppressed(tables, workspace) == {"ann": "complaint"}
    await worker.commit(made)
    done = await imports.get(f"imports/{made['id']}")
    assert counts(done) == {"new": 7, "suppressed": 3}
    assert suppressed(tables, workspace) == {"ann": "complaint"}


async def test_a_lead_of_an_earlier_import_stops_with_the_no_of_a_later_file(
    imports: Imports, tables: Tables, workspace: str
) -> None:
    """The address of an existing lead is suppressed, the lead keeps its fields, and its neighbour is not suppressed."""
    await imports.made("leads/bulk", {"leads": [{"email": "eve@nkosi-law.example"}, {"email": "gita@raosoft.example"}]})
    done = await imports.imported(SALESFORCE, duplicatePolicy="overwrite")
    assert counts(done) == {"updated": 1, "suppressed": 2}
    leads = await imports.leads()
    assert (leads["eve@nkosi-law.example"]["firstName"], leads["gita@raosoft.example"]["firstName"]) == ("", "Gita")
    assert suppressed(tables, workspace) == {"eve": "unsubscribed", "finn": "unsubscribed"}


async def test_a_status_beyond_the_samples_is_read(imports: Imports, tables: Tables, workspace: str) -> None:
    """A status column of which only a row after the 200 samples says unsubscribed becomes a column of opt-outs.

    The other statuses stay in the custom field, and a user who maps the column as a custom field is obeyed.
    """
    rows = "".join(f"a{number}@x.example,New\n" for number in range(300))
    text = f"Email,Lead Status\n{rows}late@x.example,Unsubscribed\n"
    made = await imports.uploaded(text)
    assert (mapped(made)["Lead Status"], made["optedOutCount"]) == ("optOut", 1)
    body: dict[str, Any] = {
        "columns": [{"position": 0, "target": "email"}, {"position": 1, "target": "custom", "customName": "Stage"}]
    }
    url = f"{imports.base}/imports/{made['id']}/mapping"
    changed = (await imports.client.put(url, json=body)).json()
    assert changed["optedOutCount"] == 0
    body["columns"][1] = {"position": 1, "target": "optOut"}
    changed = (await imports.client.put(url, json=body)).json()
    assert changed["optedOutCount"] == 1
    done = await imports.commit(changed)
    assert counts(done) == {"new": 300, "suppressed": 1}
    assert (await imports.leads())["a0@x.example"]["customFields"] == {"Lead Status": "New"}
    assert suppressed(tables, workspace) == {"late": "unsubscribed"}


async def test_the_no_of_a_row_with_another_problem_is_heard(imports: Imports, tables: Tables, workspace: str) -> None:
    """A row that opts out and has a name that is too long is suppressed; without the opt-out it is invalid."""
    name = "x" * 300
    rows = ["c@x.example,Cora,no", "d@x.example,Dora,", f"a@x.example,{name},yes", f"b@x.example,{name},no"]
    done = await imports.imported("\n".join(["Email,First Name,Unsubscribed", *rows]))
    assert counts(done) == {"new": 2, "suppressed": 1, "invalid": 1}
    assert suppressed(tables, workspace) == {"a": "unsubscribed"}
