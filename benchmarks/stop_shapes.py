"""The shapes in which a no arrives that is not simply written: what mail programs, lists and machines make of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_string
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import UUID, uuid4

OUR_ADDRESS = "ann@bench.example"
_QUOTE = "Hello Thandi,\n\nhow are you?"


@dataclass(frozen=True, slots=True)
class SentMail:
    """A mail that the recipient got before: whose it was, and the id of its draft."""

    recipient: str
    draft: UUID

    @property
    def message_id(self) -> str:
        """The Message-ID under which it left."""
        return f"<{self.draft}@bench.example>"


def build_message(shape: str, sent: SentMail) -> bytes:
    """Return a no to this mail as a raw message; `shape` is one of `NAMES`."""
    return _SHAPES[shape](sent).as_bytes()


def _reply(sent: SentMail, text: str, *, subject: str = "Re: Hello", sender: str | None = None) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender or sent.recipient
    message["To"] = OUR_ADDRESS
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{uuid4()}@bench.example>"
    message["In-Reply-To"] = sent.message_id
    message.set_content(text)
    return message


def _only_a_subject(sent: SentMail) -> EmailMessage:
    return _reply(sent, "\u200b\n", subject="STOP Re: Hello")


def _above_a_danish_quote(sent: SentMail) -> EmailMessage:
    headers = f"Fra: Ann <{OUR_ADDRESS}>\nSendt: 26. oktober 2026 09:00\nTil: {sent.recipient}\nEmne: Hello"
    return _reply(sent, f"Please remove me from your list.\n\n{headers}\n\n{_QUOTE}")


def _in_html_alone(sent: SentMail) -> EmailMessage:
    message = _reply(sent, "")
    message.set_content("<p>Please <b>unsubscribe</b> me.</p>", subtype="html", cte="base64")
    return message


def _by_a_mail_program(sent: SentMail) -> EmailMessage:
    message = _reply(sent, 'Apple Mail sent this email to unsubscribe from the message "Hello".', subject="unsubscribe")
    message["Auto-Submitted"] = "auto-replied"
    return message


def _through_a_group(sent: SentMail) -> EmailMessage:
    message = _reply(sent, "Please take me off your list.", sender=f"'Thandi' via Sales <{OUR_ADDRESS}>")
    message["X-Original-From"] = f"Thandi <{sent.recipient}>"
    message["X-Original-Sender"] = sent.recipient
    message["Reply-To"] = sent.recipient
    message["Precedence"] = "list"
    message["List-ID"] = "<sales.bench.example>"
    return message


def _from_another_address(sent: SentMail) -> EmailMessage:
    return _reply(sent, "Unsubscribe me, please.", sender=f"office@{sent.recipient.rpartition('@')[2]}")


def _report(sent: SentMail, kind: str, fields: str) -> EmailMessage:
    text = f"""From: postmaster@reports.example
To: {OUR_ADDRESS}
Subject: Report
Date: {format_datetime(datetime.now(UTC))}
Message-ID: <{uuid4()}@reports.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type={kind}; boundary="part"

--part
Content-Type: text/plain

This is a report about a mail.
--part
Content-Type: message/{kind}

{fields}
--part
Content-Type: message/rfc822

From: {OUR_ADDRESS}
To: {sent.recipient}
Subject: Hello
Message-ID: {sent.message_id}
X-SalesMatter-Draft: {sent.draft}

{_QUOTE}
--part--
"""
    return message_from_string(text, _class=EmailMessage)


def _a_delivery_report(sent: SentMail) -> EmailMessage:
    recipient = f"Final-Recipient: rfc822; {sent.recipient}\nAction: failed\nStatus: 5.1.1\n"
    return _report(sent, "delivery-status", f"Reporting-MTA: dns; mx.example\n\n{recipient}")


def _a_complaint(sent: SentMail) -> EmailMessage:
    fields = f"Feedback-Type: abuse\nVersion: 1\nOriginal-Rcpt-To: <{sent.recipient}>\n"
    return _report(sent, "feedback-report", fields)


_SHAPES: dict[str, Callable[[SentMail], EmailMessage]] = {
    "a word in the subject": _only_a_subject,
    "above a quote in another language": _above_a_danish_quote,
    "in HTML alone": _in_html_alone,
    "written by a mail program": _by_a_mail_program,
    "through a group": _through_a_group,
    "from another address": _from_another_address,
    "a delivery report": _a_delivery_report,
    "a complaint": _a_complaint,
}
NAMES = tuple(_SHAPES)
"""The names of the shapes."""
