"""What recipients and their mail systems say about a mail: noes of every shape, and words that are none."""

from collections.abc import Awaitable, Callable

import httpx

from tests.trials.history import History, Sent
from tests.trials.trial import read_input

MAILED = "mia@lager.example"
"""Who was mailed in the messages of the trials."""
TEXT_HEADERS = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


async def press_link(sent: Sent, method: str = "POST", data: dict[str, str] | None = None) -> str:
    """Open the unsubscribe link of a mail, or press its button, and return the page."""
    link = sent.mail["custom_headers"]["List-Unsubscribe"][0].strip("<>")
    async with httpx.AsyncClient(timeout=30) as stranger:
        response = await stranger.request(method, link, data=data)
    assert response.status_code == 200, response.text
    return response.text


async def post_message(history: History, sent: Sent, raw: str) -> None:
    """Post a message to the workspace that sent the mail, each with an id of its own."""
    raw = f"Message-ID: <{next(history.numbers)}.{sent.id}@mx.example>\r\n{raw}"
    headers = {"Content-Type": "message/rfc822"}
    async with httpx.AsyncClient(timeout=30) as http:
        response = await http.post(sent.place.outreach.inbound_url, content=raw.encode(), headers=headers)
    assert response.status_code == 200, response.text
    assert not response.json()["duplicate"]
    await history.run_jobs()


def read_report(path: str, sent: Sent, spelling: str, **changes: str) -> str:
    """Return a message of a trial as one about this mail."""
    lines = [line for line in read_input(path).decode().splitlines() if not line.startswith("Message-ID: <dsn")]
    raw = "\r\n".join(line for line in lines if not line.startswith("Message-ID: <a"))
    for old, new in {"@@DRAFT@@": sent.id, MAILED: spelling, **changes}.items():
        raw = raw.replace(old, new)
    return raw


async def one_click(history: History, sent: Sent, _: str) -> None:
    """Unsubscribe by one click, as a mail program does."""
    await press_link(sent, data={"List-Unsubscribe": "One-Click"})


async def button(history: History, sent: Sent, _: str) -> None:
    """Open the page and press its button."""
    assert sent.address in await press_link(sent, "GET")
    await press_link(sent)


async def reply(history: History, sent: Sent, spelling: str) -> None:
    """Answer the mail with a no."""
    thread = f"In-Reply-To: {sent.mail['rfc_message_id']}\r\n"
    head = f"From: {spelling}\r\nTo: ann@acme.example\r\nSubject: Re: Mail 0\r\n{thread}{TEXT_HEADERS}"
    await post_message(history, sent, f"{head}\r\nPlease unsubscribe me.\r\n")


async def fresh_message(history: History, sent: Sent, spelling: str) -> None:
    """Write a no that answers no mail."""
    head = f"From: {spelling}\r\nTo: ann@acme.example\r\nSubject: stop\r\n{TEXT_HEADERS}"
    await post_message(history, sent, f"{head}\r\nunsubscribe\r\n")


async def mail_program(history: History, sent: Sent, spelling: str) -> None:
    """Have a mail program write a no."""
    raw = read_report("35-mail-program-sends-unsubscribe/apple.eml", sent, spelling)
    await post_message(history, sent, raw)


async def feedback(history: History, sent: Sent, spelling: str) -> None:
    """Complain, and have the mailbox provider report it by mail."""
    await post_message(history, sent, read_report("18-arf-spam-complaint/abuse.eml", sent, spelling))


async def complaint(history: History, sent: Sent, _: str) -> None:
    """Complain at the provider."""
    await sent.place.outreach.hear(sent.mail, "complaint")


async def opt_out(history: History, sent: Sent, _: str) -> None:
    """Unsubscribe at the provider."""
    await sent.place.outreach.hear(sent.mail, "unsubscribe")


async def hard_bounce(history: History, sent: Sent, _: str) -> None:
    """Have the provider report that the address does not exist."""
    await sent.place.outreach.hear(sent.mail, "bounce", bounce_type="hard", bounce_reason="5.1.1 user unknown")


async def returned(history: History, sent: Sent, spelling: str) -> None:
    """Have the recipient's server report by mail that the address does not exist."""
    await post_message(
        history, sent, read_report("17-dsn-hard-bounce-comes-to-the-mailbox/user-unknown.eml", sent, spelling)
    )


async def soft_bounce(history: History, sent: Sent, _: str) -> None:
    """Have the provider report a full mailbox."""
    await sent.place.outreach.hear(sent.mail, "bounce", bounce_type="soft", bounce_reason="4.2.2 mailbox full")


async def policy_bounce(history: History, sent: Sent, _: str) -> None:
    """Have the provider report a refusal by policy as a hard bounce, as Everlytic does."""
    await sent.place.outreach.hear(sent.mail, "bounce", bounce_type="hard", bounce_reason="policy-related")


async def returned_by_policy(history: History, sent: Sent, spelling: str) -> None:
    """Have the recipient's server report by mail that it refuses the sender."""
    changes = {
        "Status: 5.1.1": "Status: 5.7.1",
        "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found": "550 5.7.1 rejected by policy",
        "The email address you entered couldn't be found.": "The message was rejected by policy.",
    }
    path = "17-dsn-hard-bounce-comes-to-the-mailbox/user-unknown.eml"
    await post_message(history, sent, read_report(path, sent, spelling, **changes))


async def full_mailbox(history: History, sent: Sent, spelling: str) -> None:
    """Have the recipient's server report by mail that the mailbox is full."""
    path = "17-dsn-hard-bounce-comes-to-the-mailbox/mailbox-full.eml"
    await post_message(history, sent, read_report(path, sent, spelling))


async def delayed(history: History, sent: Sent, spelling: str) -> None:
    """Have the recipient's server report that the mail is late."""
    path = "15-dsn-delayed-is-no-bounce/italian.eml"
    await post_message(history, sent, read_report(path, sent, spelling))


async def not_spam(history: History, sent: Sent, spelling: str) -> None:
    """Have the mailbox provider report that the recipient took the mail out of the junk folder."""
    await post_message(history, sent, read_report("18-arf-spam-complaint/not-spam.eml", sent, spelling))


async def open_link(history: History, sent: Sent, _: str) -> None:
    """Open the unsubscribe page without pressing its button, as scanners do."""
    await press_link(sent, "GET")


Say = Callable[[History, Sent, str], Awaitable[None]]
FROM_THE_RECIPIENT: list[Say] = [one_click, button, feedback, complaint, opt_out]
WRITTEN: list[Say] = [reply, fresh_message, mail_program]
BOUNCES: list[Say] = [hard_bounce, returned]
HARMLESS: list[Say] = [soft_bounce, policy_bounce, returned_by_policy, full_mailbox, delayed, not_spam, open_link]
