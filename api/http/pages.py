"""The HTML pages for recipients of mails, who come to `/u/` with a browser: they load nothing and need no script."""

import html
import re

from starlette.types import Scope

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
"""The headers of these pages: the link in the URL is a secret of the recipient."""

_PATH = re.compile(r"/{1,2}u(?:/|\Z)", re.IGNORECASE)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<style>
body {{ font: 1.05rem/1.6 system-ui, sans-serif; max-width: 30rem; margin: 12vh auto; padding: 0 1.5rem }}
button {{ font: inherit; padding: .6rem 1.4rem; border: 0; border-radius: .4rem; background: #1c2333; color: #fff }}
input {{ font: inherit; padding: .5rem; border: 1px solid #8a90a0; width: 16rem }}
</style></head>
<body><main><h1>{title}</h1>{body}</main></body></html>
"""


def is_page(scope: Scope) -> bool:
    """Return whether a request is for a page, so that an error is answered as a page too."""
    path: str = scope["path"]
    return _PATH.match(path.removeprefix(scope.get("root_path", ""))) is not None


def render_page(title: str, body: str) -> str:
    """Return a page; `body` is HTML."""
    return _PAGE.format(title=html.escape(title), body=body)


def render_error(title: str, detail: str) -> str:
    """Return the page of an error."""
    return render_page(title, f"<p>{html.escape(detail)}</p>")
