from html import escape

import pytest

from email_text.links import (
    find_disguised_links,
    find_links,
    find_visible_links,
    hides_link,
    is_unsubscribe_link,
    shows_link,
)

LINK = "https://acme.example/demo?ref=a&b"


def test_disguised_links_are_found() -> None:
    """Full-width letters and invisible characters do not hide a link; dates, amounts and abbreviations are no links."""
    assert find_links("\uff45vil\u200b.com and x.example") == ["evil.com", "x.example"]
    assert find_links("e.g. z.B. U.S. 3.5 v2.0 Dr.med. a.m. ready.It") == []
    assert find_disguised_links("on 2026-11-23, 23.11.2026 or 1 000 000 000 for 3.500.000 Euro") == []


@pytest.mark.parametrize(
    "junk",
    [
        "<a " * 9_000,
        "<div>" * 9_000,
        "<!--" * 9_000,
        "a." * 9_000,
        "a@" * 9_000,
        '<a href="' * 9_000,
        "1 " * 9_000,
        "[" * 9_000,
    ],
)
def test_junk_contains_no_link(junk: str) -> None:
    """Unclosed tags and very long hosts are read to the end and contain no link."""
    assert not shows_link(junk, LINK)
    assert LINK not in find_links(junk)
    assert LINK not in find_disguised_links(junk)


@pytest.mark.parametrize(
    ("html", "links"),
    [
        ('<a href="https://x.example/">out</a>', ["https://x.example/"]),
        ('<a href="https://x.example/"><table><tr><td>out</td></tr></table></a>', ["https://x.example/"]),
        ('<a href="https://x.example/"><img src="y"></a>', ["https://x.example/"]),
        ('<a href="https://x.example/">\u200b&nbsp;<!-- out --></a>', []),
        ('<div style="opacity:0"><a href="https://x.example/">out</a></div>', []),
        ('<noscript><a href="https://x.example/">out</a></noscript>', []),
    ],
)
def test_visible_links(html: str, links: list[str]) -> None:
    """A link is visible if it has a text or an image and nothing around it is hidden."""
    assert list(find_visible_links(html)) == links


def test_unsubscribe_links() -> None:
    """A link with a word for unsubscribing is recognized, and so is one that the HTML contains but does not show."""
    assert is_unsubscribe_link("https://x.example/Abmelden")
    assert not is_unsubscribe_link(LINK)
    assert hides_link(f'<p hidden><a href="{escape(LINK)}">out</a></p>', LINK)
    assert not hides_link(f'<p><a href="{escape(LINK)}">out</a></p>', LINK)
    assert not hides_link("<p>Hello</p>", LINK)
