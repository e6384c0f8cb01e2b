"""Style sheets of an HTML body, inlined into its elements because many mail programs ignore style sheets."""

import re
from functools import cache

from css_inline import CSSInliner, InlineError

MAX_TAGS = 1500
"""HTML with more tags keeps its style sheets. Deep nesting overflows the parser's stack, which ends the process."""
MAX_MATCHES = 5_000_000
"""Characters of style sheets times tags."""
MAX_MERGES = 20_000_000
"""Declarations squared times tags."""
MAX_CHARACTERS = 500_000
"""Of a document with inlined styles, unless it is at most twice as long as before."""

_TAG = re.compile(r"<[a-zA-Z]")
STYLE_SHEET = re.compile(r"<style\b.*?(?:</style|\Z)", re.IGNORECASE | re.DOTALL)
"""Matches a style sheet up to its closing tag, or to the end of the text."""


def inline_styles(body_html: str) -> str:
    """Return HTML as a complete document with its style sheets inlined into the elements; nothing is fetched.

    Open elements are closed, so that the footer does not become part of them. HTML that would take too long, or that
    cannot be parsed, is returned unchanged.
    """
    tags = len(_TAG.findall(body_html))
    styles = "".join(STYLE_SHEET.findall(body_html))
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
