"""Files as spreadsheets, contact lists and CRMs write them: character sets, spellings, opt-outs and odd names."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.api.importing import counts
from tests.trials.trial import Trial, read_input, read_lines

pytestmark = pytest.mark.anyio

MAC, EAST = "01-csv-excel-mac-roman-and-msdos", "02-csv-cp1250-cp1251-shiftjis"
ENCODED = {
    "01-mac": (f"{MAC}/people-mac.csv", "mac_roman"),
    "01-msdos": (f"{MAC}/people-msdos.csv", "cp850"),
    "02-polish": (f"{EAST}/polish-cp1250.csv", "cp1250"),
    "02-russian": (f"{EAST}/russian-cp1251.csv", "cp1251"),
    "02-japanese": (f"{EAST}/japanese-cp932.csv", "cp932"),
}


@pytest.mark.parametrize(("path", "encoding"), ENCODED.values(), ids=ENCODED)
async def test_files_in_old_character_sets(trial: Trial, path: str, encoding: str) -> None:
    """Every row becomes a lead, and every cell of it is there with the letters that the program wrote."""
    lines = read_input(path).decode(encoding).splitlines()
    separator = ";" if ";" in lines[0] else ","

    await trial.imports.imported(read_input(path))

    leads = (await trial.imports.leads()).values()
    values = [
        {str(value) for name, value in {**lead, **lead["customFields"]}.items() if name != "customFields"}
        for lead in leads
    ]
    assert len(values) == len(lines) - 1
    for line in lines[1:]:
        assert any(set(line.split(separator)) <= row for row in values), line


@pytest.mark.parametrize("name", ["google-contacts"], ids=["03-google-contacts"])
async def test_several_addresses_in_a_cell(trial: Trial, name: str) -> None:
    """Of addresses joined by ` ::: ` the first is taken; a row without one is invalid, and a line break splits none."""
    made = await trial.imports.imported(read_input(f"03-csv-google-contacts-triple-colon/{name}.csv"))

    assert counts(made) == {"new": 3, "invalid": 1}
    assert set(await trial.imports.leads()) == {
        "lerato@karoofreight.example",
        "pieter@vanzylpumps.example",
        "naledi.k@sunhouse.example",
    }


OPT_OUTS = {
    "04-hubspot": (
        "hubspot",
        {"amina@saheltex.example"},
        {"bram@dewitbouw.example", "carla@rossivini.example", "dieter@kurzmetall.example"},
    ),
    "04-salesforce": ("salesforce", {"gita@raosoft.example"}, {"eve@nkosi-law.example", "finn@olsenfisk.example"}),
}


@pytest.mark.parametrize(("name", "mailed", "opted_out"), OPT_OUTS.values(), ids=OPT_OUTS)
async def test_columns_that_say_do_not_mail(trial: Trial, name: str, mailed: set[str], opted_out: set[str]) -> None:
    """Rows that a CRM marks as opted out or bounced are suppressed and never mailed; `false` and 0 are no mark."""
    made = await trial.imports.uploaded(read_input(f"04-csv-opted-out-column/{name}.csv"))
    assert (await trial.imports.preview(made))["suppressed"] == len(opted_out)
    done = await trial.imports.commit(made)

    await enroll_list(trial, done["listId"], "Hello {{ first_name }}, how are you?")
    await trial.send_drafts()

    assert {mail["recipient"] for mail in trial.outreach.mails()} == mailed
    assert all([await trial.suppression(address) for address in opted_out])


@pytest.mark.parametrize("name", ["spelled-twice", "suppressed", "reply"], ids=lambda name: f"07-{name}")
async def test_one_mailbox_in_two_spellings(trial: Trial, name: str) -> None:
    """The two forms of an international domain are one address: in a file, in suppressions and in replies."""
    folder = "07-csv-idn-one-person-two-spellings"
    ascii_form = "ute@xn--bcher-khler-xfb5e.example"
    if name == "suppressed":
        await trial.outreach.post("/suppressions", {"email": ascii_form})
    if name == "reply":
        mailed = await trial.send_mail("ute@bücher-köhler.example")
        await trial.receive(f"{folder}/reply-from-ascii.eml")
        assert (await trial.find_reply(f"{folder}/reply-from-ascii.eml"))["leadId"] == mailed.lead_id
        assert await trial.suppression(ascii_form) == "unsubscribed"
        assert await trial.suppression("ute@bücher-köhler.example") == "unsubscribed"
        return
    found = counts(await trial.imports.imported(read_input(f"{folder}/idn.csv")))
    if name == "suppressed":
        assert found["new"] == 2
        assert found["suppressed"] >= 1
    else:
        assert found == {"new": 3, "duplicateInFile": 3}


@pytest.mark.parametrize("name", ["spellings"], ids=["09-spellings"])
async def test_one_address_in_ten_spellings(trial: Trial, name: str) -> None:
    """Cells that name one address in ten ways make one lead, with the first row's name; a second import makes none."""
    raw = read_input(f"09-csv-one-address-ten-spellings/{name}.csv")

    first, second = await trial.imports.imported(raw), await trial.imports.imported(raw)

    assert (first["newCount"], second["newCount"]) == (1, 0)
    leads = await trial.imports.leads()
    assert [(address, lead["firstName"]) for address, lead in leads.items()] == [("anna.bell@kiln.example", "Anna")]


async def enroll_list(trial: Trial, list_id: str, body: str) -> str:
    """Enroll the leads of a list in a sequence of one step, and return the sequence's id."""
    sequence: str = (await trial.outreach.post("/sequences", {"name": "List"})).json()["id"]
    await trial.outreach.post(f"/sequences/{sequence}/steps", {"subject": "One", "bodyTemplate": body})
    await trial.outreach.post(f"/sequences/{sequence}/activate")
    await trial.outreach.post("/enrollments", {"sequenceId": sequence, "listId": list_id})
    await trial.outreach.run_jobs()
    return sequence


async def drafts_by_lead(trial: Trial, sequence: str) -> dict[str, dict[str, Any]]:
    """Return the drafts of a sequence by the id of their lead."""
    items = (await trial.outreach.get("/drafts", sequenceId=sequence, limit="200"))["items"]
    return {draft["leadId"]: draft for draft in items}


@pytest.mark.parametrize("source", ["blankish.csv", "blankish.json"], ids=["39-file", "39-request"])
async def test_names_that_are_blank_in_disguise(trial: Trial, source: str) -> None:
    """Blanks, dashes and words for nothing are no name: with a default they use it, without one the draft fails."""
    list_id: str = (await trial.outreach.post("/lead-lists", {"name": "Odd"})).json()["id"]
    raw = read_input(f"39-template-names-that-are-blank-in-disguise/{source}")
    if source.endswith(".csv"):
        list_id = (await trial.imports.imported(raw))["listId"]
    else:
        for row in json.loads(raw)["leads"]:
            await trial.outreach.post("/leads", {**row, "listId": list_id})
    leads = {lead["id"]: lead for lead in (await trial.imports.leads()).values()}
    al = {lead_id for lead_id, lead in leads.items() if lead["firstName"] == "Al"}
    assert len(al) == 1

    kind = await drafts_by_lead(trial, await enroll_list(trial, list_id, 'Hi {{ first_name | default: "there" }},\nX'))
    bare = await drafts_by_lead(trial, await enroll_list(trial, list_id, "Hi {{ first_name }},\nX"))

    greetings = {lead_id: draft["body"].splitlines()[0] for lead_id, draft in kind.items()}
    assert greetings == {lead_id: "Hi Al," if lead_id in al else "Hi there," for lead_id in leads}
    assert {lead_id for lead_id, draft in bare.items() if draft["status"] != "failed"} == al
    assert all("first_name" in bare[lead_id]["errorReason"] for lead_id in set(leads) - al)


@pytest.mark.parametrize("name", ["odd-but-real"], ids=["40-odd-names"])
async def test_real_names_that_look_like_code(trial: Trial, name: str) -> None:
    """People called Null or Will and companies called Booking.com are kept whole and drafted; a link is withheld."""
    done = await trial.imports.imported(read_input(f"40-template-real-names-that-look-like-code/{name}.csv"))
    leads = await trial.imports.leads()
    body = "Hi {{ first_name }} {{ last_name }}, how does {{ company }} plan?"

    drafts = await drafts_by_lead(trial, await enroll_list(trial, done["listId"], body))

    assert len(leads) == 11
    assert leads["j.null@real.example"]["lastName"] == "Null"
    assert leads["eva@booking.example"]["company"] == "Booking.com B.V."
    by_address = {address: drafts[lead["id"]] for address, lead in leads.items()}
    failed = {address: draft["errorReason"] for address, draft in by_address.items() if draft["status"] == "failed"}
    assert len(by_address) - len(failed) >= 9
    assert all("name" in reason or "company" in reason for reason in failed.values()), failed
    assert "Null, how does Nullpunkt GmbH plan?" in by_address["j.null@real.example"]["body"]
    assert "http://" not in by_address["bo@evil.example"]["body"]


OPENS = {
    "America/New_York": "12:00",
    "EST": "12:00",
    "Eastern Time (US & Canada)": "12:00",
    "EST5EDT": "12:00",
    "W. Europe Standard Time": "06:00",
    "(UTC+01:00) Amsterdam, Berlin, Bern, Rome": "06:00",
    "europe/berlin ": "06:00",
    "Europe/Kiev": "05:00",
    "Europe/Kyiv": "05:00",
}
"""When 08:00 is in July, in UTC, by the zone's name in the file."""


@pytest.mark.parametrize("name", ["zones"], ids=["41-file"])
async def test_zones_as_people_write_them(trial: Trial, name: str) -> None:
    """The first mail leaves at 08:00 of the recipient's wall clock, whichever name of the zone the file uses."""
    trial.set_time(datetime(2026, 7, 15, tzinfo=UTC))
    await trial.change_workspace(windowStart="08:00:00", windowEnd="17:00:00")
    raw = read_input(f"41-zone-names-as-people-write-them/{name}.csv")
    done = await trial.imports.imported(raw)
    sequence = await enroll_list(trial, done["listId"], "Hello")
    leads = {lead["id"]: lead for lead in (await trial.imports.leads()).values()}
    zones = [line.partition('"')[2].strip('"') for line in raw.decode().splitlines()[1:]]

    opens = {}
    for enrollment in (await trial.outreach.get("/enrollments", sequenceId=sequence, limit="100"))["items"]:
        explanation = await trial.outreach.get(f"/enrollments/{enrollment['id']}/explain")
        number = int(leads[enrollment["leadId"]]["email"].removeprefix("z").partition("@")[0])
        opens[zones[number]] = explanation["sendsAt"][11:16]

    assert {zone: opens[zone] for zone in OPENS} == OPENS


UNCLEAR = {"CST", "IST", "GMT+2", "Etc/GMT+2", "UTC+3", "localtime", "+02:00"}
"""The names in the file that can mean several zones, or none."""


@pytest.mark.parametrize("name", ["zones"], ids=["41-unclear"])
async def test_zones_that_are_not_clear_are_reported(trial: Trial, name: str) -> None:
    """Rows whose zone can mean several are counted and shown from the upload to the result; the others are not."""
    raw = read_input(f"41-zone-names-as-people-write-them/{name}.csv")
    zones = [line.partition('"')[2].strip('"') for line in raw.decode().splitlines()[1:]]
    lines = {number for number, zone in enumerate(zones, start=2) if zone in UNCLEAR}

    made = await trial.imports.uploaded(raw)
    preview = await trial.imports.preview(made)
    done = await trial.imports.commit(made)
    report = await trial.imports.errors(made)

    assert made["unknownTimezoneCount"] == preview["unknownTimezone"] == done["unknownTimezoneCount"] == len(lines)
    shown = {row["lineNumber"]: row["unknownTimezone"] for row in preview["samples"]["new"]}
    assert shown == {line: line in lines for line in shown}
    assert {int(line) for line, *_ in report[1:]} == lines
    assert all("time zone" in reason for _, reason, *_ in report[1:])
    assert counts(done) == {"new": len(zones)}


@pytest.mark.parametrize(
    "name", ["localtime", "Factory", "posixrules", "Europe/Berlin "], ids=lambda name: f"41-{name}"
)
async def test_zones_that_are_none(trial: Trial, name: str) -> None:
    """A name that is no zone of the tz database, or one of its internal files, is refused for a lead."""
    (lead,) = [row for row in read_lines("41-zone-names-as-people-write-them/zones.jsonl") if row["timezone"] == name]
    response = await trial.outreach.client.post(f"{trial.outreach.path}/leads", json=lead)
    assert response.status_code == 422, response.text
