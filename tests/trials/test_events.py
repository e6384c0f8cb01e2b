"""Events as providers spell them: kinds of bounces, times, and recipients."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.trials.trial import MONDAY, Trial, read_input, read_lines

pytestmark = pytest.mark.anyio

BOUNCES = read_lines("50-bounce-type-spellings/bounces.jsonl")
NO_DATE = "undated"


def filled(value: object, draft_id: str) -> Any:
    """Return a JSON value with the draft's id in its place."""
    return json.loads(json.dumps(value).replace("@@DRAFT@@", draft_id))


@pytest.mark.parametrize("row", BOUNCES, ids=lambda row: f"50-{row['push']['event_id']}")
async def test_spellings_of_bounces(trial: Trial, row: dict[str, Any]) -> None:
    """Only a bounce of the address itself suppresses; one of which nothing tells the kind does not."""
    trial.set_time(MONDAY + timedelta(hours=1))
    mailed = await trial.send_mail("mia@lager.example")
    trial.set_time(MONDAY + timedelta(hours=2))

    await trial.push(filled(row["push"], mailed.draft_id))

    assert len((await trial.outreach.get("/events", type="bounced"))["items"]) == 1
    assert await trial.suppression("mia@lager.example") == ("hard_bounce" if row["expect"] == "hard" else None)


@pytest.mark.parametrize("name", ["open", "idn"], ids=["51-plus", "51-idn"])
async def test_one_event_in_several_spellings(trial: Trial, name: str) -> None:
    """An event that is pushed as a form and as JSON, with the recipient in other spellings, counts once."""
    folder = "51-plus-address-in-a-form-push"
    trial.set_time(MONDAY + timedelta(hours=1))
    if name == "open":
        mailed = await trial.send_mail("anna+b2b@kunde.example")
        pushes: list[object] = [read_input(f"{folder}/form-{kind}.txt").decode() for kind in ("unescaped", "escaped")]
        pushes.append(json.loads(read_input(f"{folder}/polled.json")))
    else:
        mailed = await trial.send_mail("ute@bücher.example")
        pushes = [json.loads(read_input(f"{folder}/idn-{kind}.json")) for kind in ("pushed", "polled")]
    trial.set_time(MONDAY + timedelta(hours=2))

    for push in pushes:
        await trial.push(filled(push, mailed.draft_id))

    kind = "opened" if name == "open" else "bounced"
    assert len((await trial.outreach.get("/events", type=kind))["items"]) == 1
    assert await trial.suppression(mailed.address) == (None if name == "open" else "hard_bounce")


@pytest.mark.parametrize("name", ["times"], ids=["52-times"])
async def test_times_of_all_kinds(trial: Trial, name: str) -> None:
    """All spellings of one time are one event; no event is before its mail or in the future."""
    trial.set_time(MONDAY + timedelta(hours=1))
    mailed = await trial.send_mail("mia@lager.example")
    sent, now = MONDAY + timedelta(hours=1), MONDAY + timedelta(hours=5)
    trial.set_time(now)
    seen: dict[str, set[str]] = {}

    for row in read_lines(f"52-event-times-of-all-kinds/{name}.jsonl"):
        before = await occurrences(trial)
        await trial.push(filled(row["push"], mailed.draft_id))
        seen[row["push"]["event_id"]] = await occurrences(trial) - before

    assert seen["t0"] == {"2026-10-26T08:30:00Z"}
    assert [seen[f"t{number}"] for number in range(1, 6)] == [set()] * 5
    times = await occurrences(trial)
    assert {min(times) >= sent.strftime("%Y-%m-%dT%H:%M:%SZ"), max(times) <= now.strftime("%Y-%m-%dT%H:%M:%SZ")} == {
        True
    }, times


async def occurrences(trial: Trial) -> set[str]:
    """Return when the opens happened that are stored."""
    return {opened["occurredAt"] for opened in (await trial.outreach.get("/events", type="opened"))["items"]}
