"""Composes mails: the mail of a draft with its footer, styles and headers, and the mail with a new unsubscribe link."""

from dataclasses import dataclass
from uuid import UUID

from domain.reply_address import build_reply_address
from domain.suppression import to_ascii_address
from domain.tracking import Tracking
from email_text.conversion import to_html, to_text
from email_text.footers import add_html_footer, add_text_footer
from email_text.styles import inline_styles
from everlytic.models import Address, Mail

FEEDBACK_SENDER = "salesmatter"
"""The last field of Feedback-ID: 5 to 15 characters, the same in all mails."""

LINK_GROUP = "unsubscribe-links"
"""The group of Everlytic with the mails that bring another unsubscribe link."""
LINK_TEXT = """\
Someone asked for a link to unsubscribe this address from the email of {sender}.

To get no more email from {sender}, open this link and press the button:
{url}

If you did not ask for it, ignore this email. Then nothing changes."""


@dataclass(frozen=True, slots=True)
class SenderIdentity:
    """The sender of a workspace's mails."""

    name: str
    email: str
    postal_address: str
    reply_to_email: str | None = None
    """The address for replies; None is the sender's address."""


def compose_mail(
    *,
    draft_id: UUID,
    sequence_id: UUID,
    workspace_id: UUID,
    recipient: Address,
    identity: SenderIdentity,
    subject: str,
    text: str,
    body_html: str,
    unsubscribe_url: str,
    tracking: Tracking,
) -> Mail:
    """Return the mail of a draft: the draft's id is the message id, and one-click unsubscribe follows RFC 8058.

    A missing text or HTML part is made from the other part. Styles are inlined, because many mail programs ignore style
    sheets. The footer names the sender; it has an unsubscribe link unless the part already shows one.
    """
    sender, footer = _build_sender(identity), _build_footer(identity)
    return Mail(
        to=[recipient],
        from_=sender,
        reply_to=_build_reply_to(identity, sender, draft_id),
        subject=_collapse_whitespace(subject),
        message_id=str(draft_id),
        group_name=str(sequence_id),
        text=add_text_footer(text.strip() or to_text(body_html), footer, unsubscribe_url),
        html=add_html_footer(inline_styles(body_html if body_html.strip() else to_html(text)), footer, unsubscribe_url),
        custom_headers=_build_headers(unsubscribe_url, f"{sequence_id}:{workspace_id}:outreach"),
        track_opens=tracking.opens,
        track_links=tracking.clicks,
    )


def compose_link_mail(
    *, draft_id: UUID, workspace_id: UUID, address: str, identity: SenderIdentity, unsubscribe_url: str
) -> Mail:
    """Return the mail that brings another unsubscribe link for the mail of a draft.

    It has no message id, so that no figure counts it as a mail of a sequence.
    """
    sender, footer, name = _build_sender(identity), _build_footer(identity), _collapse_whitespace(identity.name)
    text = LINK_TEXT.format(sender=name, url=unsubscribe_url)
    return Mail(
        to=[Address(email=to_ascii_address(address))],
        from_=sender,
        reply_to=_build_reply_to(identity, sender, draft_id),
        subject="Your unsubscribe link",
        group_name=LINK_GROUP,
        text=add_text_footer(text, footer, unsubscribe_url),
        html=add_html_footer(to_html(text), footer, unsubscribe_url),
        custom_headers={
            **_build_headers(unsubscribe_url, f"unsubscribe-link:{workspace_id}:service"),
            "Auto-Submitted": "auto-generated",
        },
        track_opens=False,
        track_links=False,
    )


def _build_sender(identity: SenderIdentity) -> Address:
    return Address(email=identity.email, name=_collapse_whitespace(identity.name))


def _build_footer(identity: SenderIdentity) -> str:
    return "\n".join(line for line in (identity.name, identity.postal_address) if line.strip())


def _build_headers(unsubscribe_url: str, feedback_fields: str) -> dict[str, str]:
    """Return the headers of every mail; `feedback_fields` are the campaign, the customer and the type of mail."""
    return {
        "List-Unsubscribe": f"<{unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        # Mailbox providers count complaints by these fields.
        "Feedback-ID": f"{feedback_fields}:{FEEDBACK_SENDER}",
    }


def _build_reply_to(identity: SenderIdentity, sender: Address, draft_id: UUID) -> Address:
    """Return the reply address of this mail. It contains the draft's id, so a reply is matched whatever it quotes."""
    if identity.reply_to_email is None:
        return sender
    return Address(email=build_reply_address(identity.reply_to_email, draft_id), name=sender.name)


def _collapse_whitespace(value: str) -> str:
    return " ".join(value.split())
