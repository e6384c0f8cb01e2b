"""Unsubscribe links as mail programs and gateways leave them, and links of mails to an address that was changed."""

from urllib.parse import quote

import httpx
import pytest

from tests.api.importing import counts
from tests.trials.trial import Mailed, Trial, read_input

pytestmark = pytest.mark.anyio

LINES = read_input("46-unsubscribe-link-mangled-on-its-way/mangled.txt").decode().splitlines()
BROKEN = {"lowercase-token", "cut-last-letter", "cut-half", "change-letter-10"}


def mangle(link: str, rule: str) -> str:
    """Return a link as a rule of the trial changes it."""
    token = link.removeprefix("/u/")
    kind, _, argument = rule.partition(" ")
    other = "A" if token[9] != "A" else "B"
    changed = {
        "append": f"/u/{token}{argument}",
        "prepend-to-token": f"/u/{argument}{token}",
        "insert-after-40": f"/u/{token[:40]}{argument}{token[40:]}",
        "lowercase-token": f"/u/{token.lower()}",
        "cut-last-letter": f"/u/{token[:-1]}",
        "cut-half": f"/u/{token[: len(token) // 2]}",
        "change-letter-10": f"/u/{token[:9]}{other}{token[10:]}",
        "double": f"//u/{token}",
        "uppercase-path": f"/U/{token}",
    }
    return changed[kind]


async def ask(trial: Trial, method: str, path: str) -> httpx.Response:
    """Open a link as a stranger, in just these characters."""
    origin = str(trial.outreach.client.base_url).rstrip("/")
    data = {"List-Unsubscribe": "One-Click"} if method == "POST" else None
    async with httpx.AsyncClient(timeout=30) as http:
        return await http.request(method, origin + quote(path, safe="/%?&=+,()'"), data=data, follow_redirects=True)


@pytest.mark.parametrize("is_broken", [False, True], ids=["46-readable", "46-broken"])
async def test_links_mangled_on_their_way(trial: Trial, is_broken: bool) -> None:
    """The page opens and the button unsubscribes while the token can be told; otherwise a page says what to do."""
    wrong = []
    for number, rule in enumerate(rule for rule in LINES if (rule in BROKEN) == is_broken):
        mailed = await trial.send_mail(f"mia{number}@lager{number}.example")
        path = mangle(mailed.link, rule)
        answers = [await ask(trial, "GET", path), await ask(trial, "POST", path)]
        kinds = {(answer.status_code, answer.headers["content-type"].partition(";")[0]) for answer in answers}
        is_named, reason = mailed.address in answers[0].text, await trial.suppression(mailed.address)
        right = ({(404, "text/html")}, False, None) if is_broken else ({(200, "text/html")}, True, "unsubscribed")
        if (kinds, is_named, reason) != right:
            wrong.append((rule, kinds, is_named, reason))
    assert wrong == []


OLD, NEW = "old.owner@kontor.example", "new.owner@andere.example"
NOES = ["link", "reply", "bounce", "complaint"]


@pytest.mark.parametrize("no", NOES, ids=lambda no: f"48-{no}")
async def test_a_no_after_the_address_was_changed(trial: Trial, no: str) -> None:
    """The no counts for the address that was mailed: it is suppressed, and suppressed again when it is imported."""
    mailed = await trial.send_mail(OLD, firstName="Olga")
    lead = f"{trial.outreach.path}/leads/{mailed.lead_id}"
    tag = (await trial.outreach.client.get(lead)).headers["ETag"]
    changes = {"email": NEW, "firstName": "Nils"}
    assert (await trial.outreach.client.patch(lead, json=changes, headers={"If-Match": tag})).is_success

    await say_no(trial, mailed, no)

    reason = {"bounce": "hard_bounce", "complaint": "complaint"}.get(no, "unsubscribed")
    assert await trial.suppression(OLD) == reason
    raw = read_input("48-old-link-after-the-address-was-changed/again.csv")
    assert counts(await trial.imports.imported(raw)) == {"suppressed": 1}
    assert [mail["recipient"] for mail in trial.outreach.mails()] == [OLD]


async def say_no(trial: Trial, mailed: Mailed, no: str) -> None:
    """Say no to a mail in one of four ways."""
    if no == "link":
        page = await ask(trial, "GET", mailed.link)
        assert OLD in page.text
        assert NEW not in page.text
        await ask(trial, "POST", mailed.link)
    elif no == "reply":
        raw = (
            f"From: {OLD}\r\nTo: ann@acme.example\r\nSubject: Re: One\r\nMessage-ID: <no@kontor.example>\r\n"
            f"In-Reply-To: <{mailed.draft_id}@acme.example>\r\n\r\nPlease unsubscribe me.\r\n"
        )
        async with httpx.AsyncClient(timeout=30) as http:
            await http.post(trial.outreach.inbound_url, content=raw, headers={"Content-Type": "message/rfc822"})
    elif no == "bounce":
        await trial.push(event(mailed, "bounce", bounce_type="hard", bounce_reason="5.1.1 user unknown"))
    else:
        await trial.push(event(mailed, "complaint"))
    await trial.outreach.run_jobs()


def event(mailed: Mailed, type_: str, **fields: str) -> dict[str, str]:
    """Return an event of a mail as the provider pushes it."""
    names = {"event_id": f"{type_}-1", "event_type": type_, "event_date": "2026-10-26T07:05:00Z"}
    return {**names, "email_to": mailed.address, "message_id": mailed.draft_id, **fields}
