import pytest

from email_text.html_tags import HIDDEN_STYLE, scan_tags


def test_tags_are_scanned_in_order() -> None:
    """Tags are found with their names and addresses; a quoted `>` ends no tag, and comments hold no tags."""
    html = "<!DOCTYPE html><P title='a>b'>x<A HREF=\"https://x.example/?a&amp;b\">y</a ><!-- <b> --><br/><i <!-- <u>"
    tags = list(scan_tags(html))
    assert [(tag.name, tag.is_closing) for tag in tags] == [
        ("", False),
        ("p", False),
        ("a", False),
        ("a", True),
        ("", False),
        ("br", False),
        ("", False),
    ]
    assert tags[2].href == "https://x.example/?a&b"
    assert html[tags[3].start : tags[3].end] == "</a >"


@pytest.mark.parametrize(
    ("attributes", "href"),
    [("href=x", "x"), ("class=a href=' x '", "x"), ('data-href="x"', ""), ("", ""), ('HREF = "x" href="y"', "x")],
)
def test_the_address_of_a_link(attributes: str, href: str) -> None:
    """The address is read with or without quotes, and the first one counts."""
    (tag,) = scan_tags(f"<a {attributes}>")
    assert tag.href == href


@pytest.mark.parametrize(
    ("style", "is_hidden"),
    [
        ("display : none", True),
        ("VISIBILITY:collapse", True),
        ("mso-hide:all", True),
        ("font-size:0px", True),
        ("opacity: .0", True),
        ("opacity:0.5", False),
        ("opacity:" + "0" * 50_000 + "1", False),
        ("max-height:00.0em", True),
        ("font-size:0.9em", False),
        ("font-size:10px", False),
        ("line-max-height:0", False),
    ],
)
def test_styles_that_hide(style: str, is_hidden: bool) -> None:
    """A style hides an element by not displaying it, or by a size or an opacity of zero."""
    assert (HIDDEN_STYLE.search(style) is not None) == is_hidden
