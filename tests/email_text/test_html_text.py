import pytest

from email_text.html_text import DEEPEST, extract_text

FOOTER = "Ann<br>1 Long Street<br><a href='https://acme.example/u/token'>Unsubscribe</a>"
OUTLOOK = "border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"
QUOTED = ["> Ann", "> 1 Long Street"]


def lines(html: str) -> list[str]:
    """Return what a reader sees, without empty lines."""
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
def test_what_is_quoted_is_marked(html: str) -> None:
    """However a mail program quotes, nothing of our own mail is taken for what its recipient wrote."""
    assert lines(html) == ["No thanks.", *QUOTED]


def test_answers_between_quotes() -> None:
    """What stands behind a quote in Gmail's box was written by whoever answers."""
    html = (
        "<div class='gmail_quote'><div class='gmail_attr'>On Monday, Ann wrote:<br></div>"
        "<blockquote class='gmail_quote'>Shall we talk?</blockquote><div>Yes.</div>"
        "<blockquote class='gmail_quote'>On Tuesday?</blockquote><div>On Friday.</div></div>"
    )
    said = ["> On Monday, Ann wrote:", "> Shall we talk?", "Yes.", "> On Tuesday?", "On Friday."]
    assert lines(html) == said


def test_a_forwarded_message_is_not_theirs() -> None:
    """A forwarded message in Gmail's box is quoted to its end, quotes within it or not."""
    html = (
        "For you.<div class='gmail_quote'><div class='gmail_attr'>---------- Forwarded message</div><div>Hello"
        "<div class='gmail_quote'><blockquote class='gmail_quote'>Old</blockquote></div>Bye</div></div>"
    )
    assert lines(html) == ["For you.", "> ---------- Forwarded message", "> Hello", "> Old", "> Bye"]


def test_lines() -> None:
    """Blocks and breaks are lines, paragraphs stand apart, cells side by side, and spaces count once."""
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
def test_what_nobody_sees_or_wrote(hidden: str) -> None:
    """What is hidden is not read, nor is a link that says no more than a footer's does; what surrounds it is."""
    assert lines(f"<div>Yes</div>{hidden}<div>please</div>") == ["Yes", "please"]


def test_what_is_small_is_seen() -> None:
    """A size that only begins with a nought, and a person's own word, are seen."""
    assert extract_text("<p style='font-size:0.9em'>Please unsubscribe me</p>") == "Please unsubscribe me"
    assert extract_text("Please <a href='https://x.example'>unsubscribe me</a>") == "Please unsubscribe me"


def test_the_encoding_is_known() -> None:
    """What HTML says of its own encoding is no longer true of a text."""
    assert extract_text("<meta charset=iso-8859-1><p>Grüße, 你好</p>") == "Grüße, 你好"


@pytest.mark.parametrize("html", ["", " ", "</p>", "<!", "<?xml", "<p", "<a href='", "<![CDATA["])
def test_hardly_any_html(html: str) -> None:
    """What is hardly HTML is read as far as it goes, and what stands before it is kept."""
    assert extract_text(html).strip() == ""
    assert extract_text(f"<p>Yes</p>{html}") == "Yes"


@pytest.mark.parametrize("text", ["<", "<>", "&", "\ufffe"])
def test_what_only_looks_like_html(text: str) -> None:
    """Marks that begin neither a tag nor a reference are read as they stand."""
    assert extract_text(text) == text


MOST = 1_000_000


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * (MOST // 5),
        "<div>" * (MOST // 10) + "</p>" * (MOST // 8),
        "<b>" * (MOST // 6) + "</i>" * (MOST // 8),
        "<div>" * (DEEPEST - 100) + "</p>" * (MOST // 4),
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
    """What is made to take for ever, or all of the room, comes to an end, and is read as no more than was there."""
    assert len(extract_text(html)) <= MOST


def test_what_is_nested_without_end() -> None:
    """What was read before it is kept."""
    assert extract_text("Yes please" + "<div>" * 100_000 + "lost") == "Yes please"
