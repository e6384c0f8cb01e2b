"""What a mailbox provider does for a recipient: replies as raw MIME, and the one-click unsubscribe POST."""

import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr

from everlytic.sandbox.scenarios import chance
from everlytic.sandbox.state import CapturedMail

TEXTS: dict[str, tuple[str, ...]] = {
    "interested": (
        "Hi,\n\nThanks for reaching out. This looks interesting, could we set up a call next week?",
        "Sounds good. Can you send me pricing and a time for a short demo?",
        "Yes please, let's talk. Tuesday after 10:00 suits me.",
    ),
    "not_interested": (
        "Thanks, but we are not interested at the moment.",
        "Hi,\n\nWe already have a supplier for this and are happy with them. No thank you.",
        "Not for us, sorry.",
    ),
    "question": (
        "Hello,\n\nHow does this work together with the CRM we already have?",
        "Where did you get my details, and what exactly does your company do?",
        "Is there a minimum contract period?",
    ),
    "remove_me": (
        "Please remove me from your list.",
        "Unsubscribe me. Do not contact me again.",
        "Take my address off your mailing list please.",
    ),
    "out_of_office": (
        "Thank you for your email. I am out of the office until Monday and will answer on my return.",
        "I am on annual leave with limited access to email. For urgent matters please contact reception.",
    ),
}

HTML_SHARE = 0.5
"""Share of replies that carry an HTML part too."""

_LINK = re.compile(r"""href\s*=\s*["'](https?://[^"']+)["']""", re.IGNORECASE)


def links_in(html: str) -> list[str]:
    """The web links of an HTML body, in order, without repeats."""
    return list(dict.fromkeys(link.replace("&amp;", "&") for link in _LINK.findall(html)))


def one_click_url(mail: CapturedMail) -> str | None:
    """The address a one-click unsubscribe (RFC 8058) is posted to; plain http only, so nothing leaves for the world."""
    if "one-click" not in (mail.header("List-Unsubscribe-Post") or "").lower():
        return None
    found = re.search(r"<(http://[^>]+)>", mail.header("List-Unsubscribe") or "")
    return found[1] if found else None


def reply(mail: CapturedMail, kind: str, occurred_at: float, *, reply_id: str, text: str | None = None) -> bytes:
    """The recipient's answer to ``mail`` as RFC 5322 bytes; ``text`` replaces the words of its kind."""
    domain = mail.recipient.rpartition("@")[2] or "sandbox.everlytic"
    options = TEXTS.get(kind, TEXTS["question"])
    words = text if text is not None else options[int(chance(reply_id) * len(options))]
    automatic = kind == "out_of_office"
    message = EmailMessage(policy=SMTP)
    message["From"] = formataddr((mail.recipient_name, mail.recipient))
    message["To"] = mail.reply_to
    message["Subject"] = f"Automatic reply: {mail.subject}" if automatic else f"Re: {mail.subject}"
    message["Date"] = format_datetime(datetime.fromtimestamp(occurred_at, UTC))
    message["Message-ID"] = f"<{reply_id}@{domain}>"
    message["In-Reply-To"] = mail.rfc_message_id
    message["References"] = mail.rfc_message_id
    if automatic:
        message["Auto-Submitted"] = "auto-replied"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(words + "\n")
        return message.as_bytes()
    quoted = "".join(f"> {line}\n" for line in (mail.text or mail.subject).splitlines()[:20])
    signature = f"\n\n{mail.recipient_name or mail.recipient.partition('@')[0]}\n"
    message.set_content(f"{words}{signature}\nOn {message['Date']} {mail.sender} wrote:\n{quoted}")
    if chance(reply_id, "html") < HTML_SHARE:
        message.add_alternative(f"<p>{words}</p><blockquote>{mail.subject}</blockquote>", subtype="html")
    return message.as_bytes()
