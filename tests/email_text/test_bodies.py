import pytest

from email_text.bodies import MAX_HTML_CHARACTERS, MAX_STUB_CHARACTERS, MAX_TEXT_CHARACTERS, extract_message_text
from email_text.bounded_mime import parse_message
from email_text.charsets import decode_text, find_codec
from email_text.headers import decode_header_text


def text(content: bytes, content_type: bytes = b"text/plain; charset=utf-8") -> str:
    """Return the text of a message with this content."""
    raw = b"From: a@b.example\r\nContent-Type: " + content_type + b"\r\n\r\n" + content
    return extract_message_text(parse_message(raw)).strip()


def parts(*pieces: bytes, boundary: bytes = b"b") -> bytes:
    """Return a multipart body."""
    return b"".join(b"--" + boundary + b"\r\n" + piece + b"\r\n" for piece in pieces) + b"--" + boundary + b"--\r\n"


PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"
MIXED, ALTERNATIVE, RELATED = (
    b"multipart/%s; boundary=%s" % (kind, boundary)
    for kind, boundary in ((b"mixed", b"m"), (b"alternative", b"b"), (b"related", b"r"))
)


def test_plain_text_comes_first() -> None:
    """Of several alternatives, the plain text is read, in any order."""
    assert text(parts(HTML + b"<p>html", PLAIN + b"plain"), ALTERNATIVE) == "plain"


def test_an_empty_plain_part() -> None:
    """If the plain text is empty, the HTML is read."""
    assert text(parts(PLAIN + b" \r\n\r\n", HTML + b"<p>Yes, call me"), ALTERNATIVE) == "Yes, call me"


def test_nested_alternatives() -> None:
    """Alternatives may contain images, and parts may contain alternatives: the text is found once."""
    related = parts(HTML + b"<p>html", b"Content-Type: image/png\r\n\r\nx", boundary=b"r")
    nested = parts(PLAIN + b"plain", b"Content-Type: " + RELATED + b"\r\n\r\n" + related)
    whole = parts(b"Content-Type: " + ALTERNATIVE + b"\r\n\r\n" + nested, boundary=b"m")
    assert text(whole, MIXED) == "plain"
    empty = parts(PLAIN, b"Content-Type: " + RELATED + b"\r\n\r\n" + related)
    assert text(parts(b"Content-Type: " + ALTERNATIVE + b"\r\n\r\n" + empty, boundary=b"m"), MIXED) == "html"


def test_text_around_an_image() -> None:
    """The texts before and after an inserted image are both read."""
    picture = b"Content-Type: image/png\r\nContent-Disposition: inline; filename=x.png\r\n\r\nx"
    whole = parts(PLAIN + b"before", picture, PLAIN + b"after", boundary=b"m")
    assert text(whole, MIXED).split() == ["before", "after"]


@pytest.mark.parametrize(
    "attached",
    [
        b"Content-Type: message/rfc822\r\n\r\nFrom: x@y.example\r\n\r\nunsubscribe",
        b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nunsubscribe",
        b"Content-Type: text/plain\r\nContent-Disposition: inline; filename=a.txt\r\n\r\nunsubscribe",
        b"Content-Type: text/rfc822-headers\r\n\r\nSubject: unsubscribe",
        b"Content-Type: application/ms-tnef; name=winmail.dat\r\n\r\nunsubscribe",
        b"Content-Type: text/calendar\r\n\r\nunsubscribe",
    ],
)
def test_attachments_are_not_read(attached: bytes) -> None:
    """An attached file, message or calendar entry is not part of the text."""
    assert text(parts(PLAIN + b"Yes", attached, boundary=b"m"), MIXED) == "Yes"


def test_flowed_text() -> None:
    """Folded lines are joined; quotes and the signature delimiter stay."""
    flowed = b"I am glad \r\nto hear.\r\n\r\n> Shall \r\n> we talk?\r\n From \r\n-- \r\nThandi\r\n"
    whole = "I am glad to hear.\n\n> Shall we talk?\nFrom \n-- \nThandi"
    assert text(flowed, b"text/plain; charset=utf-8; format=flowed") == whole
    joined = text(b"\xe4\xbd\xa0 \r\n\xe5\xa5\xbd\r\n", b"text/plain; charset=utf-8; format=flowed; delsp=yes")
    assert joined == "你好"


@pytest.mark.parametrize(
    ("raw", "charset", "read"),
    [
        ("Grüße".encode(), None, "Grüße"),
        ("Grüße".encode("latin-1"), None, "Grüße"),
        ("Grüße".encode("latin-1"), "utf-8", "Grüße"),
        ("Grüße".encode("latin-1"), "no-such-charset", "Grüße"),
        (b"\x80 5", "iso-8859-1", "€ 5"),
        ("Grüße".encode(), "us-ascii", "Grüße"),
        ("你好".encode("gb18030"), "gb2312", "你好"),
        ("Привет".encode("koi8-r"), "koi8-r", "Привет"),
        ("こんにちは".encode("iso2022_jp"), "iso-2022-jp", "こんにちは"),
        (b"plain", "rot13", "plain"),
        (b"plain", "bz2", "plain"),
    ],
)
def test_charsets(raw: bytes, charset: str | None, read: str) -> None:
    """A declared character set is used if the bytes are valid in it; otherwise the usual ones are tried."""
    assert decode_text(raw, charset) == read


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "unicode_escape", "raw_unicode_escape", "rot13", "zip", "x", ""]
)
def test_codecs_that_are_no_charsets(charset: str) -> None:
    """Codecs of Python that are not character sets of mails are never used; some of them take quadratic time."""
    assert find_codec(charset) is None
    hostile = b"a" * (MAX_TEXT_CHARACTERS - 5) + b"-" + b"z" * 500_000
    assert text(hostile, b"text/plain; charset=" + charset.encode()) == "a" * (MAX_TEXT_CHARACTERS - 5) + "-zzzz"
    subject = f"=?{charset}?q?{'z' * 9000}?="
    assert decode_header_text(subject) == subject


def test_much_html_in_many_parts() -> None:
    """The limits of HTML and text hold for all parts of a message together."""
    hollow = b" " * 280_000
    whole = MAX_HTML_CHARACTERS // len(hollow)
    pieces = [HTML + hollow + b"part %d" % number for number in range(20)]
    assert text(parts(*pieces, boundary=b"m"), MIXED).split("\n\n") == [f"part {number}" for number in range(whole)]
    written = text(parts(*[HTML + b"word " * 50_000] * 20, boundary=b"m"), MIXED)
    assert written == ("word " * 50_000)[:MAX_TEXT_CHARACTERS].strip()


STUBS = [
    "Your email program does not support HTML messages.",
    "This message is in HTML format; please use a viewer that can display it.",
    "Ihr Programm kann keine HTML-Nachrichten anzeigen.",
    "Votre logiciel ne prend pas en charge le HTML : HTML affiché impossible",
    "このメールはHTML形式です。HTMLメールに対応したソフトでご覧ください。表示できません。",
    "\xa0\n\u200b",
    "\u3164\u2800",
]


@pytest.mark.parametrize("stub", STUBS)
def test_the_html_counts_where_the_plain_text_is_blank_or_a_stub(stub: str) -> None:
    """A plain part without visible characters, or that only asks for a program with HTML, is not the message."""
    plain = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + stub.encode()
    assert text(parts(plain, HTML + b"<p>Yes, please</p>"), ALTERNATIVE) == "Yes, please"


def test_a_stub_is_short_and_the_only_text() -> None:
    """A longer text that mentions HTML is the message, and a stub counts if there is no other text."""
    stub = STUBS[0].encode()
    plain = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
    html = HTML + b"<p>Other</p>"
    assert text(parts(plain + stub), ALTERNATIVE) == STUBS[0]
    at_limit = stub + b"." * (MAX_STUB_CHARACTERS - len(stub))
    assert text(parts(plain + at_limit, html), ALTERNATIVE) == "Other"
    assert text(parts(plain + at_limit + b".", html), ALTERNATIVE) == (at_limit + b".").decode()


def test_html_without_a_declared_charset_in_its_header() -> None:
    """The charset of a meta element counts if the part's header names none, or an unknown one."""
    html = "<meta charset=koi8-r><p>Привет</p>".encode("koi8-r")
    for header in (b"text/html", b"text/html; charset=x-none"):
        assert text(html, header) == "Привет"
