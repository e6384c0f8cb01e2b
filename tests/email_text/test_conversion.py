from email_text.conversion import to_html, to_text


def test_bodies_are_converted_between_text_and_html() -> None:
    """Text becomes escaped paragraphs with links; HTML becomes lines of text without styles."""
    assert to_html("a <b>\nhttps://x.example/?a=1&b=2.\n\nc") == (
        '<p>a &lt;b&gt;<br>\n<a href="https://x.example/?a=1&amp;b=2">https://x.example/?a=1&amp;b=2</a>.</p>\n<p>c</p>'
    )
    assert to_text("<style>p{}</style><p>a&amp;b<br>c</p><ul><li>d</li></ul>") == "a&b\nc\n\nd"


def test_links_keep_their_urls_as_text() -> None:
    """The URL of a link follows its text, unless it is the text; other addresses and hidden content are left out."""
    html = "<a href=https://x.example/?a&amp;b>here</a> <a href='https://y.example'>https://y.example</a>"
    assert to_text(html) == "here (https://x.example/?a&b) https://y.example"
    assert to_text("<a href='mailto:a@b.example'>write</a><!-- a > b --><template>c</template>") == "write"
