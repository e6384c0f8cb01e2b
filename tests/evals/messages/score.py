"""Sends a mail to each lead, posts the messages that came back, and compares what came of them with what must."""

import email
import email.policy
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count, groupby
from pathlib import Path
from typing import Any

import httpx

from tests.trials.trial import MONDAY, Trial

SETS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Case:
    """A message, the mail that it answers, and what must come of it."""

    path: Path
    kind: str
    lead: str
    at: datetime
    zone: str
    sent: Mapping[str, str]
    suppressed: Sequence[str]
    """The addresses that a no must suppress."""
    return_date: str | None
    needs_review: bool | None
    """Whether a person must be asked; None where both are right."""
    language: str

    @classmethod
    def parse(cls, folder: Path, facts: Mapping[str, Any]) -> "Case":
        """Return the case of an entry of `expect.json`."""
        return cls(
            path=folder / facts["file"],
            kind=facts["class"],
            lead=facts["lead"],
            at=datetime.fromisoformat(facts["date"]),
            zone=facts["leadTimeZone"],
            sent=facts["sent"],
            suppressed=facts.get("suppress", [facts["lead"]]),
            return_date=facts.get("returnDate"),
            needs_review=facts.get("review"),
            language=facts["language"],
        )

    @property
    def file(self) -> str:
        """The name of the message's file."""
        return self.path.name


@dataclass(slots=True)
class Outcome:
    """What came of a message."""

    suppressions: Mapping[str, str | None]
    lead_status: str
    enrollment: str
    is_automatic: bool | None
    return_date: str | None
    needs_review: bool | None


@dataclass(slots=True)
class Score:
    """How many messages of each kind were read rightly, and which were not."""

    right: Counter[str] = field(default_factory=Counter)
    total: Counter[str] = field(default_factory=Counter)
    taken_for_a_no: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    dates: Counter[bool] = field(default_factory=Counter)
    heard_or_held: int = 0
    """How many noes were found, or hold all mail to the lead until a user has read them."""

    def add(self, case: Case, outcome: Outcome) -> None:
        """Count one message."""
        self.total[case.kind] += 1
        is_right = _RULES[case.kind](case, outcome) and case.needs_review in {None, outcome.needs_review}
        self.right[case.kind] += is_right
        if case.kind not in {"no", "complaint", "hard_bounce"} and outcome.suppressions[case.lead]:
            self.taken_for_a_no.append(case.file)
        if case.kind == "no":
            self.heard_or_held += is_right or bool(outcome.needs_review and not outcome.is_automatic)
        if case.kind == "absence" and case.needs_review is not None:
            self.dates[outcome.return_date == case.return_date] += 1
        if not is_right:
            self.wrong.append(f"{case.file} {case.language} {case.kind}: {outcome}")

    def rate(self, kind: str) -> float:
        """Return the share of the messages of a kind that were read rightly."""
        return self.right[kind] / self.total[kind]

    def date_rate(self) -> float:
        """Return the share of the absences with the right date, or rightly without one."""
        return self.dates[True] / self.dates.total()


def read_cases(name: str) -> list[Case]:
    """Return the cases of a set in the order of their arrival."""
    folder = SETS / name
    entries = json.loads((folder / "expect.json").read_text(encoding="utf-8"))
    return sorted((Case.parse(folder, facts) for facts in entries), key=lambda case: case.at)


async def score(trial: Trial, cases: Sequence[Case]) -> Score:
    """Send all mails on a Monday, then let each message arrive at its time; jobs run once a day."""
    # The sandbox makes nothing happen by itself: only the messages say what became of the mails.
    trial.outreach.fault("accepted_no_events")
    trial.set_time(MONDAY)
    drafts = {case.file: await _prepare(trial, case) for case in cases}
    await trial.outreach.run_jobs()
    for sequence_id, _ in drafts.values():
        await trial.outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await trial.outreach.run_jobs()
    for minutes in count(1):  # Mails that found no free place for a call wait.
        if not (await trial.outreach.get("/drafts", status="reviewed"))["items"]:
            break
        trial.set_time(MONDAY + timedelta(minutes=minutes))
        await trial.outreach.run_jobs()
    result = Score()
    for _, arriving in groupby(cases, key=lambda case: case.at.date()):
        received = [(case, await _post(trial, case, drafts[case.file][1])) for case in arriving]
        await trial.outreach.run_jobs()
        for case, message_id in received:
            result.add(case, await _read_outcome(trial, case, drafts[case.file][1], message_id))
    return result


async def _prepare(trial: Trial, case: Case) -> tuple[str, str]:
    """Enroll the lead in a sequence of the mail; returns the ids of the sequence and the lead."""
    outreach = trial.outreach
    lead = {"email": case.lead, "firstName": "Mia", "timezone": case.zone}
    lead_id: str = (await outreach.post("/leads", lead)).json()["id"]
    sequence_id: str = (await outreach.post("/sequences", {"name": case.file, "autoApprove": False})).json()["id"]
    for subject, text in ((case.sent["subject"], case.sent["text"]), ("Two", "Hello again")):
        await outreach.post(f"/sequences/{sequence_id}/steps", {"subject": subject, "bodyTemplate": text})
    await outreach.post(f"/sequences/{sequence_id}/activate")
    await outreach.post("/enrollments", {"sequenceId": sequence_id, "leadIds": [lead_id]})
    return sequence_id, lead_id


async def _post(trial: Trial, case: Case, lead_id: str) -> str | None:
    """Post the message to the inbound webhook; returns its Message-ID."""
    outreach = trial.outreach
    trial.set_time(case.at)
    (draft,) = (await outreach.get("/drafts", leadId=lead_id, status="sent"))["items"]
    raw = case.path.read_bytes().replace(b"@@DRAFT@@", draft["id"].encode())
    async with httpx.AsyncClient(timeout=30) as http:
        headers = {"Content-Type": "message/rfc822"}
        response = await http.post(outreach.inbound_url, content=raw, headers=headers)
    assert response.status_code == 200, response.text
    message_id: str | None = email.message_from_bytes(raw, policy=email.policy.compat32)["Message-ID"]
    return message_id


async def _read_outcome(trial: Trial, case: Case, lead_id: str, message_id: str | None) -> Outcome:
    outreach = trial.outreach
    replies = (await outreach.get("/replies", limit="200"))["items"]
    reply: Mapping[str, Any] = next(
        (one for one in replies if one["messageId"] == message_id and one["leadId"] in {lead_id, None}), {}
    )
    (enrollment,) = (await outreach.get("/enrollments", leadId=lead_id))["items"]
    return Outcome(
        suppressions={address: await trial.suppression(address) for address in {*case.suppressed, case.lead}},
        lead_status=(await outreach.get(f"/leads/{lead_id}"))["status"],
        enrollment=enrollment["status"],
        is_automatic=reply.get("isAutomatic"),
        return_date=reply.get("returnDate"),
        needs_review=reply.get("needsReview"),
    )


def _is_no(case: Case, outcome: Outcome) -> bool:
    is_stopped = outcome.enrollment != "active" or case.lead not in case.suppressed
    return is_stopped and all(outcome.suppressions[address] == "unsubscribed" for address in case.suppressed)


def _is_hard_bounce(case: Case, outcome: Outcome) -> bool:
    """A report that does not name the id of the mail can be forged: it pauses the lead and asks a user."""
    reason = outcome.suppressions[case.lead]
    if b"@@DRAFT@@" in case.path.read_bytes():
        return reason == "hard_bounce"
    return reason is None and outcome.enrollment == "paused" and outcome.needs_review is True


def _is_person(case: Case, outcome: Outcome) -> bool:
    return not outcome.suppressions[case.lead] and outcome.is_automatic is False and outcome.lead_status == "Replied"


def _is_machine(case: Case, outcome: Outcome) -> bool:
    return not outcome.suppressions[case.lead] and outcome.lead_status != "Replied"


_RULES: dict[str, Callable[[Case, Outcome], bool]] = {
    "no": _is_no,
    "complaint": lambda case, outcome: outcome.suppressions[case.lead] == "complaint",
    "hard_bounce": _is_hard_bounce,
    "person": _is_person,
    "hint": lambda case, outcome: not outcome.suppressions[case.lead] and outcome.needs_review is True,
    "absence": lambda case, outcome: (
        _is_machine(case, outcome)
        and outcome.return_date == case.return_date
        and (outcome.enrollment == "paused" or _is_over(case))
    ),
    "left": lambda case, outcome: (
        _is_machine(case, outcome) and outcome.enrollment != "active" and outcome.needs_review is True
    ),
    "soft": _is_machine,
    "machine": lambda case, outcome: _is_machine(case, outcome) and outcome.enrollment == "active",
}


def _is_over(case: Case) -> bool:
    return case.return_date is not None and date.fromisoformat(case.return_date) <= case.at.date()
