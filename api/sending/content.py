"""What a mail carries beside its text: the sender's identity, the way out, and the headers that announce it."""

import html
from dataclasses import dataclass
from uuid import UUID

from everlytic.models import Address, Mail


@dataclass(frozen=True, slots=True)
class Identity:
    """In whose name a workspace writes."""

    name: str
    email: str
    postal_address: str


def compose(
    *,
    draft_id: UUID,
    sequence_id: UUID,
    recipient: Address,
    identity: Identity,
    subject: str,
    text: str,
    body_html: str,
    unsubscribe_url: str,
) -> Mail:
    """Return the mail: our draft's id as its message id, RFC 8058 one-click unsubscribe, a footer in both parts."""
    lines = [identity.name, identity.postal_address]
    footer = "\n".join(line for line in lines if line)
    return Mail(
        to=[recipient],
        from_=Address(email=identity.email, name=identity.name),
        reply_to=Address(email=identity.email, name=identity.name),
        subject=subject,
        message_id=str(draft_id),
        group_name=str(sequence_id),
        text=f"{text.rstrip()}\n\n-- \n{footer}\nUnsubscribe: {unsubscribe_url}\n",
        html=(
            f"{body_html}<hr><p><small>{html.escape(footer).replace(chr(10), '<br>')}<br>"
            f'<a href="{html.escape(unsubscribe_url)}">Unsubscribe</a></small></p>'
        ),
        custom_headers={
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        track_opens=True,
        track_links=True,
    )
