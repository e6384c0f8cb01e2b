import pytest

from email_text.html_text import MAX_DEPTH, extract_text

FOOTER = "Ann<br>1 Long Street<br><a href='https://acme.example/u/token'>Unsubscribe</a>"
OUTLOOK = "border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"
QUOTED = ["> Ann", "> 1 Long Street"]


def lines(html: str) -> list[str]:
    """Return the visible lines, without empty ones."""
    return [line for line in extract_text(html).split("\n") if line]


@pytest.mark.parametrize(
    "html",
    [
        f"<div>No thanks.</div><blockquote type='cite'>{FOOTER}</blockquote>",
        f"<div>No thanks.</div><div class='gmail_quote'><blockquote class='gmail_quote'>{FOOTER}</blockquote></div>",
        f"<div>No thanks.</div><div class='yahoo_quoted' id='yahoo_quoted_17'><div>{FOOTER}</div></div>",
        f"<p>No thanks.</p><div id='appendonsend'></div><hr><div>{FOOTER}</div>",
        f"<p>No thanks.</p><hr><div id='divRplyFwdMsg'></div><div>{FOOTER}</div>",
        f"<p>No thanks.</p><hr><div id='x_divRplyFwdMsg'></div><div>{FOOTER}</div>",
        f"<p class=MsoNormal>No thanks.</p><div><div style='{OUTLOOK}'></div></div><p class=MsoNormal>{FOOTER}</p>",
        f"<p>No thanks.</p><div class='moz-cite-prefix'></div><blockquote>{FOOTER}</blockquote>",
        f"No thanks.<div class='protonmail_quote'>{FOOTER}</div>",
        f"No thanks.<hr id=zwchr><div>{FOOTER}</div>",
        f"No thanks.<div id='mail-editor-reference-message-container'>{FOOTER}</div>",
    ],
)
def test_quotes_are_marked(html: str) -> None:
    """The quotes of all common mail programs are marked, so that our own mail is not read as the reply."""
    assert lines(html) == ["No thanks.", *QUOTED]


def test_answers_between_quotes() -> None:
    """Text after a quote in Gmail's box belongs to the author of the reply."""
    html = (
        "<div class='gmail_quote'><div class='gmail_attr'>On Monday, Ann wrote:<br></div>"
        "<blockquote class='gmail_quote'>Shall we talk?</blockquote><div>Yes.</div>"
        "<blockquote class='gmail_quote'>On Tuesday?</blockquote><div>On Friday.</div></div>"
    )
    said = ["> On Monday, Ann wrote:", "> Shall we talk?", "Yes.", "> On Tuesday?", "On Friday."]
    assert lines(html) == said


def test_a_forwarded_message_is_a_quote() -> None:
    """A forwarded message in Gmail's box is a quote up to its end, with or without quotes inside it."""
    html = (
        "For you.<div class='gmail_quote'><div class='gmail_attr'>---------- Forwarded message</div><div>Hello"
        "<div class='gmail_quote'><blockquote class='gmail_quote'>Old</blockquote></div>Bye</div></div>"
    )
    assert lines(html) == ["For you.", "> ---------- Forwarded message", "> Hello", "> Old", "> Bye"]


def test_lines() -> None:
    """Blocks and breaks become lines, paragraphs are separated by empty lines, cells by spaces, and spaces collapse."""
    html = "<p>One\n  two</p><div>a<br>b<br><br>c</div><table><tr><td>x</td><td>y</td></tr></table><ul><li>1<li>2</ul>"
    assert extract_text(html) == "One two\n\na\nb\n\nc\n\nx y\n\n1\n2"
    assert extract_text("a<pre>b\n  c\n\nd</pre>") == "a\nb\n  c\n\nd"
    assert extract_text("<b>b</b>old <i>and</i>&nbsp;&lt;more&gt; &#8364;") == "bold and <more> €"


@pytest.mark.parametrize(
    "hidden",
    [
        "<style>p { unsubscribe: me }</style>",
        "<script>if (1 < 2) { unsubscribe }</script>",
        "<head><title>unsubscribe</title></head>",
        "<span style='display: none'>unsubscribe</span>",
        "<span style='DISPLAY:NONE'><b>unsubscribe</b></span>",
        "<span style='font-size:0px'>unsubscribe</span>",
        "<div style='max-height:0;overflow:hidden'>unsubscribe</div>",
        "<div hidden>unsubscribe</div>",
        "<!-- unsubscribe -->",
        "<a href='https://acme.example/u/token'> Unsubscribe </a>",
    ],
)
def test_hidden_text_and_unsubscribe_links_are_dropped(hidden: str) -> None:
    """Hidden text and an unsubscribe link of a footer are left out; the text around them is read."""
    assert lines(f"<div>Yes</div>{hidden}<div>please</div>") == ["Yes", "please"]


def test_visible_text_that_looks_hidden_is_read() -> None:
    """A size such as 0.9em, and a link whose text is more than "unsubscribe", are visible."""
    assert extract_text("<p style='font-size:0.9em'>Please unsubscribe me</p>") == "Please unsubscribe me"
    assert extract_text("Please <a href='https://x.example'>unsubscribe me</a>") == "Please unsubscribe me"


def test_a_declared_encoding_is_ignored() -> None:
    """HTML that has been decoded is not decoded again by the charset that it declares."""
    assert extract_text("<meta charset=iso-8859-1><p>Grüße, 你好</p>") == "Grüße, 你好"


@pytest.mark.parametrize("html", ["", " ", "</p>", "<!", "<?xml", "<p", "<a href='", "<![CDATA["])
def test_incomplete_html(html: str) -> None:
    """Incomplete HTML has no text, and the text before it is kept."""
    assert extract_text(html).strip() == ""
    assert extract_text(f"<p>Yes</p>{html}") == "Yes"


@pytest.mark.parametrize("text", ["<", "<>", "&", "\ufffe"])
def test_text_that_looks_like_html(text: str) -> None:
    """Characters that begin neither a tag nor a reference are text."""
    assert extract_text(text) == text


MOST = 1_000_000


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * (MOST // 5),
        "<div>" * (MOST // 10) + "</p>" * (MOST // 8),
        "<b>" * (MOST // 6) + "</i>" * (MOST // 8),
        "<div>" * (MAX_DEPTH - 100) + "</p>" * (MOST // 4),
        "<table>" * (MOST // 7),
        "<a><div>" * (MOST // 8),
        "<" * MOST,
        "<!--" * (MOST // 4),
        "<style" * (MOST // 6),
        "<p style='" + "border:none;border-top:solid " * (MOST // 29) + "'>",
        "<p style='display" + " " * MOST + "'>",
        "".join(f"<b id={index}>" for index in range(MOST // 12)),
        "<p " + " ".join(f"a{index}=1" for index in range(MOST // 10)) + ">",
        "<p class='" + "x_" * (MOST // 2) + "'>",
    ],
)
def test_hostile_html(html: str) -> None:
    """Hostile HTML is read in bounded time and memory."""
    assert len(extract_text(html)) <= MOST


def test_endless_nesting() -> None:
    """The text before elements that nest too deep is kept; the text inside them is not read."""
    assert extract_text("Yes please" + "<div>" * 100_000 + "lost") == "Yes please"
