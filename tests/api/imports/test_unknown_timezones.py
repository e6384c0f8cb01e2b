from typing import Any

import pytest

from tests.api.importing import Imports, counts

pytestmark = pytest.mark.anyio

FILE = """\
Email,First Name,Time zone,Email Opt Out
clear@zone.example,Ann,Europe/Berlin,0
blank@zone.example,Bob, ,0
none@zone.example,Eve,N/A,0
unclear@zone.example,Max,GMT+2,0
no address,Pia,CST,0
out@zone.example,Ned,CST,1
twice@zone.example,Zoe,IST,0
twice@zone.example,Zoe,Asia/Kolkata,1
"""


def flagged(preview: dict[str, Any]) -> set[int]:
    """Return the lines of a preview's rows whose time zone is not clear."""
    rows = [row for rows in preview["samples"].values() for row in rows]
    assert len(rows) == preview["rowCount"]
    return {row["lineNumber"] for row in rows if row["unknownTimezone"]}


async def test_only_rows_that_become_leads_count(imports: Imports) -> None:
    """An unclear zone counts in a row that becomes a lead: not if it is blank, without an address, or opted out."""
    made = await imports.uploaded(FILE)
    preview = await imports.preview(made)
    assert (made["unknownTimezoneCount"], preview["unknownTimezone"], flagged(preview)) == (1, 1, {5})
    _, *report = await imports.errors(made)
    assert [line for line, *_ in report] == ["5", "6"]

    done = await imports.commit(made)
    assert done["unknownTimezoneCount"] == 1
    lead = (await imports.leads())["unclear@zone.example"]
    assert (lead["timezone"], lead["customFields"]) == (None, {"Time zone": "GMT+2"})


async def test_another_mapping_counts_again(imports: Imports) -> None:
    """Without a time zone column no row is unclear; with it they are again."""
    made = await imports.uploaded("Email,Place,Time zone\nann@zone.example,IST,GMT+2\nbob@zone.example,Berlin,CST\n")
    found = [(made["unknownTimezoneCount"], flagged(await imports.preview(made)))]
    for targets in (("email", "ignore", "ignore"), ("email", "timezone", "ignore")):
        body = {"columns": [{"position": number, "target": target} for number, target in enumerate(targets)]}
        answer = await imports.client.put(f"{imports.base}/imports/{made['id']}/mapping", json=body)
        assert answer.status_code == 200, answer.text
        found.append((answer.json()["unknownTimezoneCount"], flagged(await imports.preview(made))))
    assert found == [(2, {2, 3}), (0, set()), (1, {2})]


async def test_a_corrected_report_sets_the_zone(imports: Imports) -> None:
    """The rows of the report, with their zones corrected and uploaded again, give the leads their zones."""
    made = await imports.imported("Email,Time zone\nann@zone.example,GMT+2\nbob@zone.example,Europe/Paris\n")
    head, *report = await imports.errors(made)
    lines = [",".join(head), *(",".join(cells).replace("GMT+2", "Europe/Berlin") for cells in report)]
    again = await imports.imported("\n".join(line.replace("zone, so", "zone so") for line in lines))
    assert counts(again) == {"updated": 1}
    assert {email: lead["timezone"] for email, lead in (await imports.leads()).items()} == {
        "ann@zone.example": "Europe/Berlin",
        "bob@zone.example": "Europe/Paris",
    }
