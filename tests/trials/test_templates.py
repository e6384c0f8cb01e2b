"""Names with marks that HTML knows, and templates as editors and other products leave them."""

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.trials.trial import Trial, read_input, read_lines

pytestmark = pytest.mark.anyio


class _Seen(HTMLParser):
    """Collects the text that a browser shows."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def seen(html: str) -> str:
    """Return the text that a browser shows, in one line."""
    return " ".join("".join(_Seen(html).parts).split())


@pytest.mark.parametrize("name", ["step", "step-html"], ids=["37-text", "37-html"])
async def test_names_with_apostrophes_and_ampersands(trial: Trial, name: str) -> None:
    """Names stand in subject and text as they are stored, and in the HTML part so that a browser shows the same."""
    folder = "37-template-names-with-apostrophe-and-ampersand"
    body = json.loads(read_input(f"{folder}/leads.json"))
    await trial.outreach.post("/leads/bulk", body)
    ids = {lead["email"]: lead["id"] for lead in (await trial.imports.leads()).values()}
    sequence = await add_sequence(trial, json.loads(read_input(f"{folder}/{name}.json")))

    await trial.outreach.post("/enrollments", {"sequenceId": sequence, "leadIds": list(ids.values())})
    await trial.outreach.run_jobs()
    await trial.send_drafts()

    for lead in body["leads"]:
        (draft,) = (await trial.outreach.get("/drafts", leadId=ids[lead["email"]]))["items"]
        assert (draft["status"], draft["errorReason"]) == ("sent", None)
        (mail,) = trial.mails_to(lead["email"])
        assert lead["company"] in mail["subject"]
        hello = f"Hi {lead['firstName']} {lead['lastName']},"
        question = f"how does {lead['company']} plan its week?"
        for text in (mail["text"], seen(mail["html"])):
            assert hello in text
            assert question in " ".join(text.split())
        if "customFields" in lead:
            assert "&lt;b&gt;bold" in mail["text"]
            assert "&lt;b&gt;bold" in seen(mail["html"])


async def add_sequence(trial: Trial, step: dict[str, Any]) -> str:
    """Make an active sequence of one step and return its id."""
    sequence: str = (await trial.outreach.post("/sequences", {"name": "One"})).json()["id"]
    await trial.outreach.post(f"/sequences/{sequence}/steps", step)
    await trial.outreach.post(f"/sequences/{sequence}/activate")
    return sequence


LITERAL = {"*|FNAME|*", "%FIRSTNAME%", "[First Name]", "{ first_name }"}
MANGLED = "38-template-liquid-mangled-by-an-editor"


@pytest.mark.parametrize("row", read_lines(f"{MANGLED}/templates.jsonl"), ids=lambda row: f"38-{row['n']}")
async def test_templates_that_an_editor_mangled(trial: Trial, row: dict[str, Any]) -> None:
    """A template is refused with the place of its fault, or greets by name, and by no name without one."""
    sequence = (await trial.outreach.post("/sequences", {"name": "One"})).json()["id"]
    step = {"subject": "One", "bodyTemplate": row["body"]}
    path = f"{trial.outreach.path}/sequences/{sequence}"
    added = await trial.outreach.client.post(f"{path}/steps", json=step)
    if not added.is_success:
        assert added.status_code == 422
        assert "bodyTemplate" in added.text
        return
    await trial.outreach.post(f"/sequences/{sequence}/activate")
    named = (await trial.outreach.post("/leads", {"email": "n@lead.example", "firstName": "Ada"})).json()["id"]
    nameless = (await trial.outreach.post("/leads", {"email": "o@lead.example"})).json()["id"]
    await trial.outreach.post("/enrollments", {"sequenceId": sequence, "leadIds": [named, nameless]})
    await trial.outreach.run_jobs()

    for lead in (named, nameless):
        (draft,) = (await trial.outreach.get("/drafts", leadId=lead))["items"]
        if draft["status"] != "failed":
            query = f"{path}/steps/{added.json()['id']}/preview?leadId={lead}"
            preview = (await trial.outreach.client.get(query)).json()
            text = draft["body"]
            assert not any(mark in text for mark in ("{{", "}}", "{%", "\u201cthere", "\u2018there", *LITERAL)), text
            assert "Hi ," not in text or preview.get("warnings"), text
            assert lead == nameless or "Ada" in text or "custom.size" in row["body"], text
