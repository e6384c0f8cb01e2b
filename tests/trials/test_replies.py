"""Messages that come back for a mail: replies in any shape, reports by machines, and absences."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from tests.trials.trial import MONDAY, Expected, Trial, assert_result, contains, is_not

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class Case:
    """One message, the address of the lead whose mail it answers, and what must come of it."""

    path: str
    lead: str
    expected: Expected
    at: datetime = MONDAY
    next_mail: bool | None = field(default=False, kw_only=True)
    """Whether the second step goes out at once; None where both are right."""

    @property
    def id(self) -> str:
        """The number of the trial and the name of its file."""
        folder, name = self.path.split("/")
        return f"{folder[:2]}-{name.removesuffix('.eml')}"


def case(path: str, lead: str, *parts: Expected, at: datetime = MONDAY, next_mail: bool | None = False) -> Case:
    """Return a case whose expected fields are put together from parts."""
    return Case(path, lead, {name: value for part in parts for name, value in part.items()}, at, next_mail=next_mail)


def day(year: int, month: int, number: int, hour: int = 7) -> datetime:
    """Return a business time."""
    return datetime(year, month, number, hour, tzinfo=UTC)


NO_REPLY: Expected = {"leadStatus": is_not("Replied"), "isAutomatic": True}
"""No person answered: the lead is not Replied, by which replies are counted."""
YES: Expected = {
    "intent": {"interested", "meeting_request"},
    "isAutomatic": False,
    "suppressed": None,
    "leadStatus": "Replied",
    "enrollment": "replied",
}
NOTICE: Expected = {**NO_REPLY, "intent": is_not("bounce"), "enrollment": "active", "suppressed": None}
STOP: Expected = {"intent": "unsubscribe", "suppressed": "unsubscribed", "leadStatus": "Unsubscribed"}
AWAY: Expected = {**NO_REPLY, "intent": "out_of_office", "enrollment": "paused", "suppressed": None}
GONE: Expected = {**NO_REPLY, "enrollment": is_not("active"), "suppressed": None}


def back(on: str) -> Expected:
    """Return what must come of a note that names the day of the return."""
    return {**AWAY, "returnDate": on}


def text(*parts: str) -> Expected:
    """Return what must come of a person's message in an old character set."""
    return {"text": contains(*parts), "isAutomatic": False, "leadStatus": "Replied"}


DANISH = "10-reply-outlook-danish-polish-quote"
VIA = "12-reply-through-google-group-via"
DELAYED, RELAYED = "15-dsn-delayed-is-no-bounce", "16-dsn-success-relayed-expanded"
FAILED, FEEDBACK = "17-dsn-hard-bounce-comes-to-the-mailbox", "18-arf-spam-complaint"
BACK, FORGOTTEN, US = "19-ooo-back-from-date-dutch-french", "20-ooo-forgotten-note-wraps-a-year", "21-ooo-us-dates"
BARE, LANGUAGES = "22-ooo-exchange-and-notes-without-headers", "23-ooo-languages-outside-the-seven"
LEFT, JAPANESE, CHINESE = (
    "24-auto-left-the-company",
    "28-iso-2022-jp-with-nec-signs",
    "29-gb2312-label-superset-and-lie",
)
FOOTER, SUBJECT = "31-reply-whose-signature-says-unsubscribe", "34-answer-in-the-subject-only"
PROGRAM = "35-mail-program-sends-unsubscribe"
MIA = "mia@lager.example"

# `suppressed` is the reason of the suppression (expect.json: true, or the word of another product), `leadStatus` the
# status of the lead (`counts_as_reply`), and `text` the stored text.
CASES = [
    # Outlook marks our quoted mail by localised header lines alone; our own way out stands in it.
    case(f"{DANISH}/danish.eml", "mette@krogh-brod.example", YES),
    case(f"{DANISH}/polish.eml", "mette@krogh-brod.example", YES),
    # A group rewrites From to its own address, which is ours; the author stands in other headers.
    case(f"{VIA}/via.eml", "anna.meyer@kunde.example", YES, {"fromEmail": "anna.meyer@kunde.example", "own": False}),
    case(f"{VIA}/via-stop.eml", "anna.meyer@kunde.example", STOP, {"own": False}),
    # Notices that a mail is late are no bounces, whatever the language of their subject.
    case(f"{DELAYED}/sendmail-warning.eml", MIA, NOTICE, next_mail=True),
    case(f"{DELAYED}/exchange-spanish.eml", MIA, NOTICE, next_mail=True),
    case(f"{DELAYED}/italian.eml", MIA, NOTICE, next_mail=True),
    # Reports of success are no bounces either.
    case(f"{RELAYED}/delivered.eml", MIA, NOTICE, next_mail=True),
    case(f"{RELAYED}/expanded.eml", MIA, NOTICE, next_mail=True),
    case(f"{RELAYED}/relayed.eml", MIA, NOTICE, next_mail=True),
    # A failure that the provider never saw comes to the mailbox.
    case(f"{FAILED}/user-unknown.eml", MIA, NO_REPLY, {"suppressed": "hard_bounce"}),
    case(f"{FAILED}/mailbox-full.eml", MIA, NO_REPLY, {"suppressed": None}, next_mail=None),
    # A feedback report is a complaint only when its type says so.
    case(f"{FEEDBACK}/abuse.eml", MIA, NO_REPLY, {"suppressed": "complaint", "enrollment": is_not("active")}),
    case(f"{FEEDBACK}/not-spam.eml", MIA, {"leadStatus": is_not("Replied"), "suppressed": None}, next_mail=None),
    # The word for "from" begins a return as well as an absence.
    case(f"{BACK}/dutch.eml", "sanne@mulderhout.example", back("2026-11-02")),
    case(f"{BACK}/french.eml", "luc@morel-bois.example", back("2026-11-02")),
    case(f"{BACK}/english.eml", "tom@reedmill.example", back("2026-11-02")),
    # A day that has just passed is not in a year.
    case(
        f"{FORGOTTEN}/forgotten-de.eml",
        "uwe@hahnbau.example",
        {**NO_REPLY, "returnDate": lambda date: date is None or date <= "2027-02-28"},
        at=day(2027, 1, 7),
        next_mail=None,
    ),
    case(
        f"{FORGOTTEN}/forgotten-en.eml",
        "tom@reedmill.example",
        {**NO_REPLY, "returnDate": lambda date: date is None or date <= "2027-02-28"},
        at=day(2027, 1, 7),
        next_mail=None,
    ),
    case(f"{FORGOTTEN}/december.eml", "tom@reedmill.example", back("2027-01-04"), at=day(2026, 12, 20, 9)),
    # Of two readings of a date, the one ahead and near, which a weekday agrees with.
    case(f"{US}/a.eml", "dana@ortizfreight.example", back("2026-11-02"), at=day(2026, 10, 28, 15)),
    case(f"{US}/b.eml", "dana@ortizfreight.example", back("2026-12-03"), at=day(2026, 11, 27, 15)),
    case(f"{US}/c.eml", "hugh@dalemill.example", back("2026-11-03"), at=day(2026, 10, 28, 10)),
    # Notes without any automatic header.
    case(f"{BARE}/exchange-de.eml", "jana@wolfdruck.example", back("2026-11-02")),
    case(f"{BARE}/notes-de.eml", "max.muster@werk7.example", back("2026-11-09")),
    case(f"{BARE}/notes-en.eml", "pat.quill@site9.example", back("2026-11-09")),
    case(f"{BARE}/rule-nl.eml", "inkoop@vlietdak.example", back("2026-11-02")),
    # Notes in Swedish, Finnish, Polish, Chinese and Japanese.
    case(f"{LANGUAGES}/sv.eml", "erik@lundplat.example", NO_REPLY),
    case(f"{LANGUAGES}/fi.eml", "aino@lainepuu.example", NO_REPLY),
    case(f"{LANGUAGES}/pl.eml", "marta@zawadastal.example", NO_REPLY),
    case(f"{LANGUAGES}/zh-qq.eml", "zhangwei@hongda.example", NO_REPLY),
    case(f"{LANGUAGES}/ja.eml", "tanaka@minato.example", NO_REPLY),
    # A mailbox whose owner has left answers by itself.
    case(f"{LEFT}/left-en.eml", "olga@pricelab.example", GONE),
    case(f"{LEFT}/left-de.eml", "olaf@kernguss.example", GONE),
    case(f"{LEFT}/closed-mailbox.eml", "info@pottery-hill.example", GONE),
    # Labels of character sets mean their supersets, or nothing at all.
    case(
        f"{JAPANESE}/nec.eml",
        "tanaka@minato.example",
        text("お世話になっております", "d like to see your price list"),
    ),
    case(f"{CHINESE}/superset.eml", "zhangwei@hongda.example", text("感兴趣")),
    case(f"{CHINESE}/lie.eml", "jin@hongda.example", text("Please send me the brochure")),
    # A newsletter's footer below a yes.
    case(f"{FOOTER}/footer-en.eml", "jonas@bergtools.example", YES),
    case(f"{FOOTER}/footer-de.eml", "jonas@bergtools.example", YES),
    case(f"{FOOTER}/footer-html.eml", "jonas@bergtools.example", YES),
    # The answer is in the subject, in the HTML part, or in a picture.
    case(f"{SUBJECT}/subject-stop.eml", "gil@noorbau.example", STOP),
    case(f"{SUBJECT}/blank-plain-html-words.eml", "gil@noorbau.example", YES),
    case(f"{SUBJECT}/photo-only.eml", "gil@noorbau.example", {"needsReview": True, "leadStatus": "Replied"}),
    # A mail program unsubscribes by itself.
    case(f"{PROGRAM}/apple.eml", MIA, STOP),
    case(f"{PROGRAM}/apple-de.eml", MIA, STOP),
    case(f"{PROGRAM}/gmail.eml", MIA, STOP),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_what_comes_of_a_message(trial: Trial, case: Case) -> None:
    """The reply's fields, the lead, its enrollment and its suppression are right, and the next step goes out or not."""
    trial.set_time(case.at)
    if case.path.startswith(VIA):
        await trial.change_workspace(defaultFromEmail="sales@acme.example")
    mailed = await trial.send_mail(case.lead)

    receipt = await trial.receive(case.path, mailed)

    reply = await trial.find_reply(case.path)
    assert reply["draftId"] == mailed.draft_id
    assert_result({**receipt, **reply, **await trial.state(mailed)}, case.expected)
    assert "\x1b" not in reply["text"]
    assert case.next_mail in {None, await trial.is_next_mail_sent(mailed)}


@pytest.mark.parametrize("name", ["dutch", "french", "english"], ids=lambda name: f"19-sends-after-{name}")
async def test_the_next_mail_waits_for_the_return(trial: Trial, name: str) -> None:
    """Nothing is sent on the last day of the absence; the next step goes out on the day of the return."""
    mailed = await trial.send_mail(f"{name}@away.example", timezone="Europe/Amsterdam")
    await trial.receive(f"{BACK}/{name}.eml", mailed)

    trial.set_time(day(2026, 10, 30, 12))
    assert not await trial.is_next_mail_sent(mailed)

    trial.set_time(day(2026, 11, 2, 12))
    await trial.outreach.run_jobs()
    assert await trial.is_next_mail_sent(mailed)


NAMES = "11-reply-from-encoded-comma-at-quote"


@pytest.mark.parametrize("name", ["a-comma", "b-at-company", "c-open-quote"], ids=lambda name: f"11-{name}")
async def test_names_that_hold_marks_of_addresses(trial: Trial, name: str) -> None:
    """A comma, an at sign or a lone quotation mark in an encoded name changes nothing about the sender's address."""
    joerg = await trial.send_mail("joerg@nordlicht.example")

    await trial.receive(f"{NAMES}/{name}.eml")

    reply = await trial.find_reply(f"{NAMES}/{name}.eml")
    assert (reply["fromEmail"], reply["leadId"]) == ("joerg@nordlicht.example", joerg.lead_id)


@pytest.mark.parametrize("name", ["d-spoof"], ids=lambda name: f"11-{name}")
async def test_a_name_that_is_an_address_of_another(trial: Trial, name: str) -> None:
    """An address in the name of the sender unsubscribes no lead; the sender is the one in angle brackets."""
    victim = await trial.send_mail("victim@lead.example")

    await trial.receive(f"{NAMES}/{name}.eml")

    replies = (await trial.outreach.get("/replies"))["items"]
    assert {(reply["fromEmail"], reply["leadId"]) for reply in replies} <= {("attacker@evil.example", None)}
    assert_result(await trial.state(victim), {"suppressed": None, "leadStatus": "Contacted", "enrollment": "active"})


@pytest.mark.parametrize("folder", ["13-reply-reused-message-id"], ids=lambda _: "13-reused")
async def test_a_message_id_used_twice(trial: Trial, folder: str) -> None:
    """Another sender's mail with the same Message-ID is another mail; the same mail again is a duplicate."""
    kim, lee = await trial.send_mail("kim@werk.example"), await trial.send_mail("lee@amt.example")

    first = await trial.receive(f"{folder}/first.eml", kim)
    trial.set_time(MONDAY + timedelta(days=8))
    second = await trial.receive(f"{folder}/second.eml", kim, lee)
    third = await trial.receive(f"{folder}/first.eml", kim)

    assert [receipt["duplicate"] for receipt in (first, second, third)] == [False, False, True]
    assert (await trial.suppression("lee@amt.example"), await trial.suppression("kim@werk.example")) == (
        "unsubscribed",
        None,
    )


OTHERS = "30-reply-from-another-address-of-the-person"


@pytest.mark.parametrize("name", ["alias-in-thread", "alias-no-thread", "assistant"], ids=lambda name: f"30-{name}")
async def test_a_no_from_another_address(trial: Trial, name: str) -> None:
    """A no from an alias or an assistant stops the address that was mailed, and a lead with the sender's address."""
    mailed = await trial.send_mail("a.meyer@kunde.example")
    alias = (await trial.outreach.post("/leads", {"email": "anna@kunde.example"})).json()["id"]

    await trial.receive(f"{OTHERS}/{name}.eml", mailed)

    reply = await trial.find_reply(f"{OTHERS}/{name}.eml")
    # Nothing known answers: a person is asked as well.
    assert reply["needsReview"] or name != "alias-no-thread"
    assert_result(await trial.state(mailed), {"suppressed": "unsubscribed", "leadStatus": "Unsubscribed"})
    if name == "alias-in-thread":
        assert (await trial.outreach.get(f"/leads/{alias}"))["status"] == "Unsubscribed"
        assert await trial.suppression("anna@kunde.example") == "unsubscribed"
    assert not await trial.is_next_mail_sent(mailed)
