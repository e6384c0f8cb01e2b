"""The operations of a history, each done to the service and to the model, and the strategy that invents them."""

from dataclasses import dataclass
from typing import Protocol

import httpx
from hypothesis import strategies as st

from tests.trials import noes
from tests.trials.history import History, Place, to_target
from tests.trials.never_mailed import Target
from tests.trials.noes import Say
from tests.trials.persons import DOMAIN_SPELLINGS, PERSONS, address_of, person_of

OPT_OUTS = {"": False, "no": False, "0": False, "yes": True, "2026-01-05": True}
ACCOUNT_REASONS = {"unsubscribed", "complaint", "hard_bounce"}


class Operation(Protocol):
    """Something that happens; numbers pick a workspace, a lead or a mail of those that there are."""

    async def play(self, history: History) -> None:
        """Do it to the service and to the model."""


@dataclass(frozen=True, slots=True)
class AddLead:
    """Make a lead."""

    place: int
    spelling: str

    async def play(self, history: History) -> None:
        """Make it, and enroll it with all others."""
        place = history.places[self.place]
        await history.add_lead(place, self.spelling)
        await history.enroll_all(place, place.sequence_id)


@dataclass(frozen=True, slots=True)
class ImportFile:
    """Import a file of people, with opt-outs of some, and enroll all."""

    place: int
    rows: list[tuple[str, str]]
    policy: str

    async def play(self, history: History) -> None:
        """No lead is made of a person who may not be mailed, also by another row of the file."""
        place = history.places[self.place]
        lines = "".join(f"{spelling},{cell}\n" for spelling, cell in self.rows)
        upload = await place.client.post(
            f"{place.path}/imports",
            files={"file": ("people.csv", f"Email,Email Opt Out\n{lines}".encode())},
            data={"duplicatePolicy": self.policy},
        )
        assert upload.status_code == 202, upload.text
        assert [column["target"] for column in upload.json()["mapping"]] == ["email", "optOut"]
        path, before = f"/imports/{upload.json()['id']}", history.now()
        await place.outreach.post(f"{path}/commit")
        await history.run_jobs()
        at = history.now()
        assert (await place.outreach.get(path))["state"] == "committed"
        opted_out = {address_of(spelling) for spelling, cell in self.rows if OPT_OUTS[cell]}
        for address in opted_out:
            history.model.suppress(place.account, Target(person_of(address)), at)
            self._forget_status(history, place, person_of(address))
        known = {lead.id for lead in history.model.leads}
        for lead in await place.list_all("/leads"):
            if lead["id"] not in known:
                made = history.learn_lead(place, lead)
                assert made.address not in opted_out
                assert not history.model.is_suppressed(made.address, place.path, place.account, at=before)
        await history.enroll_all(place, place.sequence_id)

    @staticmethod
    def _forget_status(history: History, place: Place, person: str) -> None:
        """The guide does not say whether an opt-out in a file unsubscribes leads or only suppresses their addresses."""
        for lead in history.model.leads:
            if lead.account == place.account and person_of(lead.address) == person:
                lead.may_have_unsubscribed = True


@dataclass(frozen=True, slots=True)
class ChangeAddress:
    """Correct a lead's address."""

    place: int
    which: int
    spelling: str

    async def play(self, history: History) -> None:
        """The address of another lead is refused."""
        place = history.places[self.place]
        if (lead := history.pick_lead(place, self.which)) is None:
            return
        path = f"{place.path}/leads/{lead.id}"
        tag = (await place.client.get(path)).headers["ETag"]
        response = await place.client.patch(path, json={"email": self.spelling}, headers={"If-Match": tag})
        holder = history.model.find_holder(place.path, address_of(self.spelling))
        is_free = holder is None or holder is lead
        assert response.status_code == (200 if is_free else 409), response.text
        if is_free:
            lead.address = address_of(self.spelling)


@dataclass(frozen=True, slots=True)
class DeleteLead:
    """Delete a lead."""

    place: int
    which: int

    async def play(self, history: History) -> None:
        """Its address is free again."""
        place = history.places[self.place]
        if lead := history.pick_lead(place, self.which):
            assert (await place.client.delete(f"{place.path}/leads/{lead.id}")).status_code == 204
            lead.is_deleted = True


@dataclass(frozen=True, slots=True)
class RestoreLead:
    """Restore a deleted lead, and resume what its deletion paused."""

    place: int
    which: int

    async def play(self, history: History) -> None:
        """It is refused while another lead has the address."""
        place = history.places[self.place]
        if (lead := history.pick_lead(place, self.which, is_deleted=True)) is None:
            return
        is_free = history.model.find_holder(place.path, lead.address) is None
        response = await place.client.post(f"{place.path}/leads/{lead.id}/restore")
        assert response.status_code == (200 if is_free else 409), response.text
        lead.is_deleted = not is_free


@dataclass(frozen=True, slots=True)
class ResumeAll:
    """Do everything a user can do to have mails sent: activate, resume and regenerate."""

    place: int

    async def play(self, history: History) -> None:
        """What cannot be done is refused."""
        place = history.places[self.place]
        await place.client.post(f"{place.path}/sequences/{place.sequence_id}/activate")
        await place.outreach.post("/enrollments/bulk", {"action": "resume", "sequenceId": place.sequence_id})
        for draft in await place.list_all("/drafts", status="failed"):
            await place.client.post(f"{place.path}/drafts/{draft['id']}/regenerate")
        await history.run_jobs()


@dataclass(frozen=True, slots=True)
class PassDay:
    """Let a day go by."""

    async def play(self, history: History) -> None:
        """The next steps are sent."""
        await history.pass_day()


@dataclass(frozen=True, slots=True)
class SayNo:
    """Say no to an earlier mail, or have the address bounce; the next mails may be due before any job has run."""

    say: Say
    which: int
    spelling: str | None
    is_followed_by_mails: bool

    async def play(self, history: History) -> None:
        """A no stops the person who was mailed and, if it is written, its author; a bounce suppresses alone."""
        if (sent := await history.pick_mail(self.which)) is None:
            return
        account, model = sent.place.account, history.model
        spellings = PERSONS[person_of(sent.address)][sent.address]
        is_written = self.say in noes.WRITTEN
        author = self.spelling if is_written and self.spelling else spellings[self.which % len(spellings)]
        await self.say(history, sent, author)
        at = history.now()
        if self.say in noes.BOUNCES:
            model.suppress(account, Target(person_of(sent.address)), at)
        elif not is_written or self.say is noes.reply:
            model.unsubscribe(account, sent.address, at, sent.lead)
        if is_written:
            model.unsubscribe(account, address_of(author), at)
        if is_written and self.say is not noes.reply:
            await self._forget_matches(history, sent.place, author)
        await (history.pass_day() if self.is_followed_by_mails else history.run_jobs())

    @staticmethod
    async def _forget_matches(history: History, place: Place, author: str) -> None:
        """It counts for a lead mailed at its sender's address, the guide does not say which, and waits for a user."""
        history.model.authors_under_review.add((place.account, person_of(author)))
        for mail in place.outreach.mails():
            if person_of(mail["recipient"]) == person_of(author):
                draft = await place.outreach.get(f"/drafts/{mail['message_id']}")
                lead = history.model.find_lead(draft["leadId"])
                lead.may_have_unsubscribed = lead.is_under_review = True


@dataclass(frozen=True, slots=True)
class SayNothing:
    """Have something happen to a mail that is no no."""

    say: Say
    which: int

    async def play(self, history: History) -> None:
        """Nothing is suppressed."""
        if sent := await history.pick_mail(self.which):
            await self.say(history, sent, sent.address)


@dataclass(frozen=True, slots=True)
class UnsubscribeLead:
    """Unsubscribe a lead as a user."""

    place: int
    which: int

    async def play(self, history: History) -> None:
        """It counts for the account."""
        place = history.places[self.place]
        if lead := history.pick_lead(place, self.which):
            await place.outreach.post(f"/leads/{lead.id}/unsubscribe")
            history.model.unsubscribe(place.account, lead.address, history.now(), lead)
            await history.run_jobs()


@dataclass(frozen=True, slots=True)
class Suppress:
    """Suppress an address or a domain by hand, or by a file of one row."""

    place: int
    value: str
    below: bool
    reason: str
    scope: str | None
    is_file: bool

    async def play(self, history: History) -> None:
        """Without a scope, the reason of an address decides where it counts."""
        place, is_domain = history.places[self.place], "@" not in self.value
        below = self.below and is_domain and not self.is_file
        response = await (self._import(place) if self.is_file else self._post(place, below=below))
        assert response.is_success, response.text
        is_account = not is_domain and self.reason in ACCOUNT_REASONS
        scope = self.scope or ("account" if is_account else "workspace")
        owner = place.account if scope == "account" else place.path
        target = to_target(f"@{self.value}" if is_domain else self.value)
        history.model.suppress(owner, target, history.now(), below=below)

    async def _post(self, place: Place, *, below: bool) -> httpx.Response:
        kind = {"email": self.value, "reason": self.reason} if "@" in self.value else {"domain": self.value}
        body = kind | {"includeSubdomains": below} | ({"scope": self.scope} if self.scope else {})
        return await place.client.post(f"{place.path}/suppressions", json=body)

    async def _import(self, place: Place) -> httpx.Response:
        value = self.value if "@" in self.value else f"@{self.value}"
        form = {"reason": self.reason} | ({"scope": self.scope} if self.scope else {})
        files = {"file": ("list.csv", f"Email\n{value}\n".encode())}
        return await place.client.post(f"{place.path}/suppressions/import", files=files, data=form)


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a suppression as an admin."""

    place: int
    which: int

    async def play(self, history: History) -> None:
        """From then on its address may be mailed, except leads that have unsubscribed."""
        place = history.places[self.place]
        standing = sorted(await place.list_all("/suppressions"), key=lambda each: (each["value"], each["scope"]))
        if not standing:
            return
        chosen = standing[self.which % len(standing)]
        owner = place.account if chosen["scope"] == "account" else place.path
        history.model.remove(owner, to_target(chosen["value"]), history.now())
        path = f"{place.path}/suppressions/{chosen['id']}"
        assert (await place.client.delete(path, params={"reason": "by mistake"})).status_code == 204


places, numbers = st.integers(0, 2), st.integers(0, 30)


def build_operations(known: list[str]) -> st.SearchStrategy[Operation]:
    """Invent operations on a few persons, so that what is done to one of their addresses meets the others."""
    spellings = st.sampled_from(known)
    above = [name for name in DOMAIN_SPELLINGS if any(each.lower().endswith(name.lower()) for each in known)]
    rows = st.lists(st.tuples(spellings, st.sampled_from(sorted(OPT_OUTS))), min_size=1, max_size=4)
    said = st.one_of(
        st.builds(SayNo, st.sampled_from(noes.FROM_THE_RECIPIENT), numbers, st.none(), st.booleans()),
        st.builds(SayNo, st.sampled_from(noes.WRITTEN), numbers, st.none() | spellings, st.booleans()),
        st.builds(SayNo, st.sampled_from(noes.BOUNCES), numbers, st.none(), st.booleans()),
    )
    suppressed = st.builds(
        Suppress,
        places,
        spellings | st.sampled_from([*above, "example.org"]),
        st.booleans(),
        st.sampled_from(["manual", "unsubscribed", "hard_bounce"]),
        st.sampled_from([None, "workspace", "account"]),
        st.booleans(),
    )
    return st.one_of(
        st.builds(AddLead, places, spellings),
        st.builds(ChangeAddress, places, numbers, spellings),
        st.builds(ImportFile, places, rows, st.sampled_from(["skip", "fill", "overwrite"])),
        st.builds(DeleteLead, places, numbers),
        st.builds(RestoreLead, places, numbers),
        said,
        said,
        st.builds(SayNothing, st.sampled_from(noes.HARMLESS), numbers),
        st.builds(SayNothing, st.sampled_from(noes.HARMLESS), numbers),
        suppressed,
        st.builds(Remove, places, numbers),
        st.builds(UnsubscribeLead, places, numbers),
        st.builds(ResumeAll, places),
        st.just(PassDay()),
    )


@st.composite
def plots(draw: st.DrawFn) -> tuple[list[list[str]], list[Operation]]:
    """Invent the leads that each workspace begins with, and what happens then."""
    persons = draw(st.lists(st.sampled_from(sorted(PERSONS)), min_size=2, max_size=2, unique=True))
    known = [spelling for person in persons for spellings in PERSONS[person].values() for spelling in spellings]
    first = [draw(st.lists(st.sampled_from(known), min_size=2, max_size=4)) for _ in range(3)]
    return first, draw(st.lists(build_operations(known), min_size=8, max_size=20))
