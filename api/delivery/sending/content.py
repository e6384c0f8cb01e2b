"""What a mail carries beside its text: the sender's identity, the way out, and the headers that announce it."""

import html
import re
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from css_inline import CSSInliner, InlineError

from ai.workflows.email_generation.bodies import html_of, text_of
from ai.workflows.email_generation.links import holds, shows
from domain.reply_address import reply_address
from everlytic.models import Address, Mail

MOST_TAGS = 1500
"""Beyond it HTML is left as it is: the parser's stack, which ends the process where it overflows, bounds the depth."""
MOST_MATCHES = 5_000_000
MOST_MERGES = 20_000_000
MOST_CHARACTERS = 500_000

_TAG = re.compile(r"<[a-zA-Z]")
_STYLE = re.compile(r"<style\b.*?(?:</style|\Z)", re.IGNORECASE | re.DOTALL)
_END = re.compile(r"(?:\s*</(?:body|html)\s*>)+\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Identity:
    """In whose name a workspace writes."""

    name: str
    email: str
    postal_address: str
    reply_to_email: str | None = None
    """Where answers are to arrive; the sender's address where there is none."""


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
    """Return the mail: our draft's id as its message id, RFC 8058 one-click unsubscribe, a footer in both parts.

    A part that is missing is made of the other. Styles are written into the elements, as mail programs want them. The
    footer says who writes, and has the link to unsubscribe where the part does not show it already.
    """
    sender = Address(email=identity.email, name=_one_line(identity.name))
    footer = "\n".join(line for line in (identity.name, identity.postal_address) if line.strip())
    return Mail(
        to=[recipient],
        from_=sender,
        reply_to=_reply_to(identity, sender, draft_id),
        subject=_one_line(subject),
        message_id=str(draft_id),
        group_name=str(sequence_id),
        text=_text_closed(text.strip() or text_of(body_html), footer, unsubscribe_url),
        html=_html_closed(inlined(body_html if body_html.strip() else html_of(text)), footer, unsubscribe_url),
        custom_headers={
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        track_opens=True,
        track_links=True,
    )


def _reply_to(identity: Identity, sender: Address, draft_id: UUID) -> Address:
    """Return where an answer is to go: an address of this mail's own, so that it is known whatever it quotes."""
    if identity.reply_to_email is None:
        return sender
    return Address(email=reply_address(identity.reply_to_email, draft_id), name=sender.name)


def inlined(body_html: str) -> str:
    """Return HTML as a whole document with its style sheets written into the elements; nothing is fetched.

    What opens and is never closed is closed, so that nothing that follows is part of it. HTML that would take long, or
    cannot be read, is returned as it is.
    """
    tags = len(_TAG.findall(body_html))
    styles = "".join(_STYLE.findall(body_html))
    # Each rule is tried on each element, and an element's declarations are each compared with all of its others.
    merges = styles.count(":") ** 2 * tags
    if tags > MOST_TAGS or len(styles) * tags > MOST_MATCHES or merges > MOST_MERGES:
        return body_html
    try:
        whole = _inliner().inline(body_html)
    except InlineError:
        return body_html
    return whole if len(whole) <= max(MOST_CHARACTERS, 2 * len(body_html)) else body_html


@cache
def _inliner() -> CSSInliner:
    # Media queries cannot be written into elements.
    return CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


def _text_closed(text: str, footer: str, unsubscribe_url: str) -> str:
    way_out = "" if holds(text, unsubscribe_url) else f"Unsubscribe: {unsubscribe_url}\n"
    return f"{text}\n\n-- \n{footer}\n{way_out}"


def _html_closed(document: str, footer: str, unsubscribe_url: str) -> str:
    """Put the footer at the end of what a document shows."""
    lines = html.escape(footer).replace("\n", "<br>")
    link = f'<br><a href="{html.escape(unsubscribe_url)}">Unsubscribe</a>'
    way_out = "" if shows(document, unsubscribe_url) else link
    end = _END.search(document)
    at = end.start() if end else len(document)
    return f"{document[:at]}<hr><p><small>{lines}{way_out}</small></p>{document[at:]}"


def _one_line(value: str) -> str:
    return " ".join(value.split())
