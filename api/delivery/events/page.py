"""The pages of the unsubscribe link: the question, the confirmation, and the page for an invalid link.

The pages load no other resources and need no script. Opening a page changes nothing, because mail scanners open every
link; the button posts the same body as mail programs do (RFC 8058).
"""

import html

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
"""The headers of these pages: the link in the URL is a secret of the recipient."""


def render_confirmation(*, sender: str, address: str) -> str:
    """Return the page that asks whether `sender` should stop mailing `address`, which is empty if it was erased."""
    recipient = f" to <b>{html.escape(address)}</b>" if address else ""
    return _page(
        "Unsubscribe",
        f"<p>Do you want no more email from <b>{html.escape(sender)}</b>{recipient}?</p>"
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        '<button type="submit">Unsubscribe</button></form>',
    )


def render_done(*, sender: str, address: str) -> str:
    """Return the page that confirms the unsubscribe."""
    recipient = f"<b>{html.escape(address)}</b>" if address else "You"
    return _page(
        "You are unsubscribed", f"<p>{recipient} will get no more email from <b>{html.escape(sender)}</b>.</p>"
    )


def render_invalid_link() -> str:
    """Return the page for an invalid link, answered with 404."""
    return _page(
        "This link does not work",
        "<p>It is incomplete or was changed on its way. Open it from the email again, or answer the email with the "
        "word <b>unsubscribe</b>.</p>",
    )


def _page(title: str, body: str) -> str:
    return PAGE.format(title=title, body=body)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<style>
body {{ font: 1.05rem/1.6 system-ui, sans-serif; max-width: 30rem; margin: 12vh auto; padding: 0 1.5rem }}
button {{ font: inherit; padding: .6rem 1.4rem; border: 0; border-radius: .4rem; background: #1c2333; color: #fff }}
</style></head>
<body><main><h1>{title}</h1>{body}</main></body></html>
"""
