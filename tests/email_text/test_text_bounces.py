import time

import pytest

from email_text.reports import ReportKind
from email_text.text_bounces import read_text_bounce

MIA = "mia@lager.example"
DRAFT = "018f0000-0000-7000-8000-000000000001"
PERSON = [("From", "Thandi <thandi@lead.example>")]
DAEMON = [("From", "Mail Delivery System <MAILER-DAEMON@mx.lager.example>")]
COPY = f"""--- Below this line is a copy of the message.

Return-Path: <ann@acme.example>
Message-ID: <{DRAFT}@acme.example>
To: other@x.example
"""

QMAIL = f"""Hi. This is the qmail-send program at mx.lager.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{MIA}>:
Sorry, no mailbox here by that name. (#5.1.1)

{COPY}"""
EXCHANGE = f"""Delivery has failed to these recipients or groups:

Mia Lager ({MIA})
The email address you entered couldn't be found. Please check it and try to resend the message.

Diagnostic information for administrators:
Generating server: mx.lager.example
{MIA}
#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##

Original message headers:
Message-ID: <{DRAFT}@acme.example>
"""
OLD_EXCHANGE = f"""Your message did not reach some or all of the intended recipients.

      Subject: One
      Sent: 26.10.2026 10:00

The following recipient(s) could not be reached:

      {MIA} on 26.10.2026 10:00
            The e-mail account does not exist at the organization this message was sent to.
            <mx.lager.example #5.1.1>
"""
POSTFIX = f"""This is the mail system at host mx.lager.example.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

<{MIA}>: host mx.lager.example[192.0.2.1] said: 550 5.1.1 <{MIA}>:
    Recipient address rejected: User unknown (in reply to RCPT TO command)
"""
EXIM = f"""This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  {MIA}
    host mx.lager.example [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<{MIA}>:
    550 5.1.1 No such user here

------ This is a copy of the message, including all the headers. ------
Message-ID: <{DRAFT}@acme.example>
"""
SENDMAIL = f"""The original message was received at Mon, 26 Oct 2026 10:00:00 +0200
from localhost

   ----- The following addresses had permanent fatal errors -----
<{MIA}>
    (reason: 550 5.1.1 <{MIA}>... User unknown)
"""
YAHOO = f"""Sorry, we were unable to deliver your message to the following address.

<{MIA}>:
554: delivery error: dd This user doesn't have a yahoo.com account ({MIA}) [0] - mta1
"""
GOOGLE = f"""** Address not found **

Your message wasn't delivered to {MIA} because the address couldn't be found, or is unable to receive mail.

The response was:
550 5.1.1 The email account that you tried to reach does not exist.
"""
DOMINO = f"""Your message

Subject: One

was not delivered to:

{MIA}

because:

550 5.1.1 User mia not listed in Domino Directory"""
GERMAN = f"""Fehler bei der Nachrichtenzustellung an folgende Empfänger oder Verteilerlisten:

{MIA}
Die Adresse wurde nicht gefunden.

#550 5.1.1 RESOLVER.ADR.RecipNotFound"""
FRENCH = f"""Échec de la remise à ces destinataires ou groupes :

Mia ({MIA})
L'adresse est introuvable. #550 5.1.1"""
JAPANESE = f"""次の受信者またはグループへの配信できませんでした:

{MIA}

#550 5.1.1 RecipNotFound"""


@pytest.mark.parametrize(
    "text",
    [QMAIL, EXCHANGE, OLD_EXCHANGE, POSTFIX, EXIM, SENDMAIL, GOOGLE, DOMINO, GERMAN, FRENCH, JAPANESE],
    ids=[
        "qmail",
        "exchange",
        "old-exchange",
        "postfix",
        "exim",
        "sendmail",
        "google",
        "domino",
        "german",
        "french",
        "japanese",
    ],
)
def test_a_bounce_in_words(text: str) -> None:
    """The address that failed is read with its status."""
    report = read_text_bounce(DAEMON, text)
    assert report is not None
    assert report.kind is ReportKind.BOUNCE
    (recipient,) = report.recipients
    assert (recipient.addresses, recipient.action, recipient.status) == ((MIA,), "failed", "5.1.1")


@pytest.mark.parametrize("text", [QMAIL, EXCHANGE, OLD_EXCHANGE, POSTFIX, EXIM, SENDMAIL, YAHOO, GOOGLE])
def test_a_bounce_is_known_by_its_first_words(text: str) -> None:
    """The usual first words show a bounce, also from an unknown sender."""
    report = read_text_bounce([("From", "service@gateway.example")], text)
    assert report is not None
    assert MIA in report.recipients[0].addresses


def test_the_returned_copy() -> None:
    """Below the returned copy only ids are read, and no addresses."""
    report = read_text_bounce(DAEMON, QMAIL)
    assert report is not None
    assert report.message_ids == (f"<{DRAFT}@acme.example>",)
    assert [one.addresses for one in report.recipients] == [(MIA,)]


def test_failed_recipients_in_a_header() -> None:
    """A header that names the failed recipients decides which ones they are."""
    report = read_text_bounce([*DAEMON, ("X-Failed-Recipients", MIA)], f"Write to help@mx.example. {MIA}: 550 5.1.1 no")
    assert report is not None
    assert [(one.addresses, one.status) for one in report.recipients] == [((MIA,), "5.1.1")]


@pytest.mark.parametrize(
    "text",
    [
        f"THIS IS A WARNING MESSAGE ONLY\nYOU DO NOT NEED TO RESEND YOUR MESSAGE\n<{MIA}>: 4.4.1 still undelivered",
        f"A message that you sent has not yet been delivered to one of its recipients\n{MIA}\nDelay reason: 451",
        f"La entrega a estos destinatarios se ha retrasado:\n{MIA}\nEl servidor seguirá intentando entregarlo.",
        f"Die Zustellung an {MIA} hat sich verzögert.",
        f"La consegna a {MIA} è in ritardo.",
        f"Delivery to these recipients or groups is delayed: {MIA}. The server will keep trying to deliver it.",
    ],
)
def test_a_delay_in_words(text: str) -> None:
    """A mail system that still tries reports a delay."""
    report = read_text_bounce(DAEMON, text)
    assert report is not None
    assert (report.kind, {one.action for one in report.recipients}) == (ReportKind.DELAY, {"delayed"})


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (PERSON, f"Hi Ann, your mail to {MIA} was not delivered: 550 5.1.1"),
        (PERSON, f"FYI\n\n> {QMAIL}"),
        (
            [("From", "Thandi <thandi@lead.example>")],
            "Hello Ann,\n" + "please see what came back to me today. " * 9 + QMAIL,
        ),
        (
            [("From", "Thandi <thandi@lead.example>"), ("Return-Path", "<>")],
            "I am away. Your message was not delivered.",
        ),
        (DAEMON, "Thank you for your message."),
        (PERSON, "Hi. This is the second mail that I write to you: unsubscribe me."),
        (PERSON, "Your message was not delivered to the right person. Please unsubscribe us."),
        ([("From", "Post <postmaster@lead.example>")], "Your mail was not delivered to anyone here. Unsubscribe us."),
        ([("From", "Postmaster <postmaster@lead.example>")], "Please unsubscribe me."),
        ([], ""),
    ],
)
def test_what_is_no_bounce(headers: list[tuple[str, str]], text: str) -> None:
    """A person who writes about a bounce, and an automatic message without a failure, are no bounce."""
    assert read_text_bounce(headers, text) is None


@pytest.mark.parametrize(
    "piece", ["a@b.example ", "550 5.1.1 ", "<", "not delivered ", "zustellung ", "@", "x.", "\n>"]
)
def test_hostile_texts(piece: str) -> None:
    """A huge text is read in bounded time."""
    started = time.perf_counter()
    read_text_bounce(DAEMON, piece * (1_000_000 // len(piece)))
    assert time.perf_counter() - started < 3
