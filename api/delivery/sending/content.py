"""Composes the mail of a draft: sender, footer with the unsubscribe link, inlined styles, and headers."""

import html
import re
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from css_inline import CSSInliner, InlineError

from domain.reply_address import build_reply_address
from email_text.conversion import to_html, to_text
from email_text.links import contains_link, shows_link
from everlytic.models import Address, Mail

MAX_TAGS = 1500
"""HTML with more tags keeps its style sheets. Deep nesting overflows the parser's stack, which ends the process."""
MAX_MATCHES = 5_000_000
"""Characters of style sheets times tags."""
MAX_MERGES = 20_000_000
"""Declarations squared times tags."""
MAX_CHARACTERS = 500_000
"""Of a document with inlined styles, unless it is at most twice as long as before."""

_TAG = re.compile(r"<[a-zA-Z]")
_STYLE = re.compile(r"<style\b.*?(?:</style|\Z)", re.IGNORECASE | re.DOTALL)
_COMPLETE_TAG = re.compile(
    r"""<!--.*?(?:-->|\Z)|<[!?][^<>]*>|</?[a-zA-Z](?:"[^"]*"|'[^']*'|[^"'<>])*>""",
    re.DOTALL,
)
_TAG_START = re.compile(r"<[a-zA-Z/!?]")
_RAW_TEXT = re.compile(r"<(?:plaintext|xmp|iframe|noembed|noframes)\b", re.IGNORECASE)
"""Elements that turn everything after them into text; the first can never be closed."""
_CLOSING_TAGS = re.compile(r"(?:\s*</(?:body|html)\s*>)+\s*\Z", re.IGNORECASE)


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
    recipient: Address,
    identity: SenderIdentity,
    subject: str,
    text: str,
    body_html: str,
    unsubscribe_url: str,
) -> Mail:
    """Return the mail of a draft: the draft's id is the message id, and one-click unsubscribe follows RFC 8058.

    A missing text or HTML part is made from the other part. Styles are inlined, because many mail programs ignore style
    sheets. The footer names the sender; it has an unsubscribe link unless the part already shows one.
    """
    sender = Address(email=identity.email, name=_collapse_whitespace(identity.name))
    footer = "\n".join(line for line in (identity.name, identity.postal_address) if line.strip())
    return Mail(
        to=[recipient],
        from_=sender,
        reply_to=_build_reply_to(identity, sender, draft_id),
        subject=_collapse_whitespace(subject),
        message_id=str(draft_id),
        group_name=str(sequence_id),
        text=_add_text_footer(text.strip() or to_text(body_html), footer, unsubscribe_url),
        html=_add_html_footer(
            inline_styles(body_html if body_html.strip() else to_html(text)), footer, unsubscribe_url
        ),
        custom_headers={
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        track_opens=True,
        track_links=True,
    )


def _build_reply_to(identity: SenderIdentity, sender: Address, draft_id: UUID) -> Address:
    """Return the reply address of this mail. It contains the draft's id, so a reply is matched whatever it quotes."""
    if identity.reply_to_email is None:
        return sender
    return Address(email=build_reply_address(identity.reply_to_email, draft_id), name=sender.name)


def inline_styles(body_html: str) -> str:
    """Return HTML as a complete document with its style sheets inlined into the elements; nothing is fetched.

    Open elements are closed, so that the footer does not become part of them. HTML that would take too long, or that
    cannot be parsed, is returned unchanged.
    """
    tags = len(_TAG.findall(body_html))
    styles = "".join(_STYLE.findall(body_html))
    # The inliner tries each rule on each element, and compares the declarations of an element with each other.
    merges = styles.count(":") ** 2 * tags
    if tags > MAX_TAGS or len(styles) * tags > MAX_MATCHES or merges > MAX_MERGES:
        return body_html
    try:
        document = _get_inliner().inline(body_html)
    except InlineError:
        return body_html
    return document if len(document) <= max(MAX_CHARACTERS, 2 * len(body_html)) else body_html


@cache
def _get_inliner() -> CSSInliner:
    # Media queries cannot be inlined, so they stay in the style sheet.
    return CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


def _add_text_footer(text: str, footer: str, unsubscribe_url: str) -> str:
    unsubscribe_line = "" if contains_link(text, unsubscribe_url) else f"Unsubscribe: {unsubscribe_url}\n"
    return f"{text}\n\n-- \n{footer}\n{unsubscribe_line}"


def _add_html_footer(document: str, footer: str, unsubscribe_url: str) -> str:
    """Insert the footer before the closing tags of a document, or first where an open construct would hide it."""
    lines = html.escape(footer).replace("\n", "<br>")
    link = f'<br><a href="{html.escape(unsubscribe_url)}">Unsubscribe</a>'
    if not _is_ambiguous(document):
        unsubscribe_line = "" if shows_link(document, unsubscribe_url) else link
        closing_tags = _CLOSING_TAGS.search(document)
        end = closing_tags.start() if closing_tags else len(document)
        complete = f"{document[:end]}<hr><p><small>{lines}{unsubscribe_line}</small></p>{document[end:]}"
        if shows_link(complete, unsubscribe_url):
            return complete
    return f"<p><small>{lines}{link}</small></p><hr>{document}"


def _is_ambiguous(document: str) -> bool:
    """Return whether a mail program may read the tags of a document in another way than this module."""
    rest = _COMPLETE_TAG.sub("", _STYLE.sub("", document))
    return _TAG_START.search(rest) is not None or _RAW_TEXT.search(document) is not None


def _collapse_whitespace(value: str) -> str:
    return " ".join(value.split())
