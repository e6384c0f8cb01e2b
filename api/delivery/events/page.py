"""The pages of the unsubscribe link: the question, the confirmation, and the form for a link that cannot be read.

Opening a page changes nothing, because mail scanners open every link; the button posts the same body as mail programs
do (RFC 8058).
"""

import html

from api.http.pages import render_page
from domain.suppression import MAX_ADDRESS_CHARACTERS

ADDRESS_FIELD = "email"
"""The field of the form with the address that a new link is sent to."""


def render_confirmation(*, sender: str, address: str) -> str:
    """Return the page that asks whether `sender` should stop mailing `address`, which is empty if it was erased."""
    recipient = f" to <b>{html.escape(address)}</b>" if address else ""
    return render_page(
        "Unsubscribe",
        f"<p>Do you want no more email from <b>{html.escape(sender)}</b>{recipient}?</p>"
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        '<button type="submit">Unsubscribe</button></form>',
    )


def render_done(*, sender: str, address: str) -> str:
    """Return the page that confirms the unsubscribe."""
    recipient = f"<b>{html.escape(address)}</b>" if address else "You"
    return render_page(
        "You are unsubscribed", f"<p>{recipient} will get no more email from <b>{html.escape(sender)}</b>.</p>"
    )


def render_unreadable_link(problem: str = "") -> str:
    """Return the page for a link that cannot be read, with a form that requests another link."""
    sentence = f"<p><b>{html.escape(problem)}</b></p>" if problem else ""
    return render_page(
        "This link does not work",
        "<p>It is incomplete, was changed on its way, or belongs to an email that no longer exists. Enter the address "
        f"that the email was sent to, and we send a new link to it.</p>{sentence}"
        f'<form method="post"><p><input type="email" name="{ADDRESS_FIELD}" maxlength="{MAX_ADDRESS_CHARACTERS}" '
        'required autocomplete="email" placeholder="you@example.com" aria-label="Email address"></p>'
        '<button type="submit">Send a new link</button></form>'
        "<p>Or answer the email with the word <b>unsubscribe</b>.</p>",
    )


def render_link_requested(address: str) -> str:
    """Return the page after a link was requested, the same whether or not one is sent."""
    return render_page(
        "Check your email",
        f"<p>If we have sent email to <b>{html.escape(address)}</b>, and it is not unsubscribed yet, a new link is on "
        "its way. One is sent at most once an hour.</p><p>Nothing came? Answer the email that you got with the word "
        "<b>unsubscribe</b>.</p>",
    )
