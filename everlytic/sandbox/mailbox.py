"""Simulates the recipient's mailbox provider: replies as raw MIME, and the one-click unsubscribe POST."""

import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr

from everlytic.sandbox.scenarios import seeded_random
from everlytic.sandbox.state import CapturedMail

REPLY_TEXTS: dict[str, tuple[str, ...]] = {
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
"""The share of replies with an HTML part."""

_LINK = re.compile(r"""href\s*=\s*["'](https?://[^"']+)["']""", re.IGNORECASE)


def extract_links(html: str) -> list[str]:
    """Return the web links of an HTML body in order, without duplicates."""
    return list(dict.fromkeys(link.replace("&amp;", "&") for link in _LINK.findall(html)))


def find_one_click_url(mail: CapturedMail) -> str | None:
    """Return the URL of the one-click unsubscribe (RFC 8058); only plain http, so that no public host is called."""
    if "one-click" not in (mail.get_header("List-Unsubscribe-Post") or "").lower():
        return None
    match = re.search(r"<(http://[^>]+)>", mail.get_header("List-Unsubscribe") or "")
    return match[1] if match else None


def build_reply(mail: CapturedMail, kind: str, occurred_at: float, *, reply_id: str, text: str | None = None) -> bytes:
    """Return the recipient's reply to ``mail`` as RFC 5322 bytes; ``text`` replaces the standard text of its kind."""
    domain = mail.recipient.rpartition("@")[2] or "sandbox.everlytic"
    options = REPLY_TEXTS.get(kind, REPLY_TEXTS["question"])
    body = text if text is not None else options[int(seeded_random(reply_id) * len(options))]
    is_automatic = kind == "out_of_office"
    message = EmailMessage(policy=SMTP)
    message["From"] = formataddr((mail.recipient_name, mail.recipient))
    message["To"] = mail.reply_to
    message["Subject"] = f"Automatic reply: {mail.subject}" if is_automatic else f"Re: {mail.subject}"
    message["Date"] = format_datetime(datetime.fromtimestamp(occurred_at, UTC))
    message["Message-ID"] = f"<{reply_id}@{domain}>"
    message["In-Reply-To"] = mail.rfc_message_id
    message["References"] = mail.rfc_message_id
    if is_automatic:
        message["Auto-Submitted"] = "auto-replied"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(body + "\n")
        return message.as_bytes()
    quoted = "".join(f"> {line}\n" for line in (mail.text or mail.subject).splitlines()[:20])
    signature = f"\n\n{mail.recipient_name or mail.recipient.partition('@')[0]}\n"
    message.set_content(f"{body}{signature}\nOn {message['Date']} {mail.sender} wrote:\n{quoted}")
    if seeded_random(reply_id, "html") < HTML_SHARE:
        message.add_alternative(f"<p>{body}</p><blockquote>{mail.subject}</blockquote>", subtype="html")
    return message.as_bytes()
