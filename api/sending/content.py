"""What a mail carries beside its text: the sender's identity, the way out, and the headers that announce it."""

import html
import re
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from css_inline import CSSInliner, InlineError

from ai.workflows.email_generation.bodies import html_of, text_of
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

    A part that is missing is made of the other. Styles are written into the elements, as mail programs want them.
    """
    sender = Address(email=identity.email, name=_one_line(identity.name))
    footer = "\n".join(line for line in (identity.name, identity.postal_address) if line.strip())
    return Mail(
        to=[recipient],
        from_=sender,
        reply_to=sender,
        subject=_one_line(subject),
        message_id=str(draft_id),
        group_name=str(sequence_id),
        text=f"{text.strip() or text_of(body_html)}\n\n-- \n{footer}\nUnsubscribe: {unsubscribe_url}\n",
        html=_closed_by(
            inlined(body_html if body_html.strip() else html_of(text)),
            f"<hr><p><small>{html.escape(footer).replace(chr(10), '<br>')}<br>"
            f'<a href="{html.escape(unsubscribe_url)}">Unsubscribe</a></small></p>',
        ),
        custom_headers={
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        track_opens=True,
        track_links=True,
    )


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


def _closed_by(document: str, footer: str) -> str:
    """Put the footer at the end of what a document shows."""
    end = _END.search(document)
    at = end.start() if end else len(document)
    return f"{document[:at]}{footer}{document[at:]}"


def _one_line(value: str) -> str:
    return " ".join(value.split())
