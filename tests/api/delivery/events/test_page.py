from api.delivery.events import page
from api.http.pages import HEADERS


def test_names_are_escaped() -> None:
    """A sender or an address with markup in it stays text."""
    shown = page.render_confirmation(sender="<script>x</script>", address='"a<b>"@x.com')
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "a&lt;b&gt;" in page.render_done(sender="Acme", address='"a<b>"@x.com')


def test_page_stands_alone() -> None:
    """The pages load nothing, run nothing, and the button posts what RFC 8058 has mail programs post."""
    shown = page.render_confirmation(sender="Acme", address="ann@x.com")
    assert 'method="post"' in shown
    assert 'name="List-Unsubscribe" value="One-Click"' in shown
    for loading in ("src=", "href=", "<script", "url("):
        assert (
            loading not in shown + page.render_done(sender="Acme", address="ann@x.com") + page.render_unreadable_link()
        )
    assert HEADERS["Referrer-Policy"] == "no-referrer"


def test_what_was_typed_is_escaped() -> None:
    """An address with markup in it stays text on the page that answers the form."""
    assert "<b>x</b>@x.com" not in page.render_link_requested("<b>x</b>@x.com")
