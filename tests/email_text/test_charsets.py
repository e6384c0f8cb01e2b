import pytest

from email_text.charsets import MAX_META_BYTES, MIN_CERTAIN_CHARACTERS, decode_text, find_codec, find_declared_charset
from email_text.headers import decode_header_text
from email_text.iso_2022 import decode_iso_2022_jp


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (b"\x1b$B$*@$OC\x1b(B", "お世話"),
        (b"\x1b$B-j\x1b(B\x1b$B$_$J$H\x1b(B", "㈱みなと"),
        (b"\x1b$B-!\x1b(B\x1b$B2A3JI=\x1b(B", "①価格表"),
        (b"We\x1b$B!G\x1b(Bd", "We\u2019d"),
        (b"\x1b(I1234\x1b(B.", "ｱｲｳｴ."),
        (b"\x0e1234\x0f.", "ｱｲｳｴ."),
        (b"\x1b(J1 \\ 2\x1b(B", "1 \\ 2"),
        (b"\x1b$B$*\n$*", "お\nお"),
        (b"\x1b$B)!\x1b(B.", "\ufffd."),
        (b"a\x1b$B", "a"),
        (b"a\x1b", "a"),
    ],
)
def test_iso_2022_jp_with_characters_of_windows(raw: bytes, read: str) -> None:
    """Rows that only Windows has, half-width katakana and line ends are read, and no escape sequence stays."""
    assert decode_iso_2022_jp(raw) == read
    assert decode_text(raw, "iso-2022-jp") == read


def test_all_characters_of_jis_x_0208_are_read_as_by_python() -> None:
    """Each pair of bytes that Python's codec knows gives its character, or the one that Windows has in its place."""
    windows = dict(zip("\u301c\u2016\u2212\xa2\xa3\xac", "\uff5e\u2225\uff0d\uffe0\uffe1\uffe2", strict=True))
    for row in range(0x21, 0x7F):
        for cell in range(0x21, 0x7F):
            raw = b"\x1b$B" + bytes((row, cell)) + b"\x1b(B"
            try:
                character = raw.decode("iso2022_jp")
            except ValueError:
                continue
            assert decode_iso_2022_jp(raw) == windows.get(character, character)


@pytest.mark.parametrize(
    ("raw", "charset", "read"),
    [
        ("Grüße".encode(), "iso-8859-1", "Grüße"),
        ("Привет".encode(), "windows-1251", "Привет"),
        ("谢谢你的".encode(), "gb2312", "谢谢你的"),
        ("Привет".encode("cp1251"), "utf-8", "Ïðèâåò"),
        ("café".encode("cp1252"), "utf-8", "café"),
        ("zwölf ä".encode()[:-1], "utf-8", "zwölf "),
        ("こんにちは".encode(), "iso-2022-jp", "こんにちは"),
        ("こんにちは".encode("iso2022_jp"), None, "こんにちは"),
        ("こんにちは".encode("iso2022_jp"), "us-ascii", "こんにちは"),
        ("①㈱".encode("cp932"), "shift_jis", "①㈱"),
        ("①㈱".encode("euc_jis_2004"), "euc-jp", "①㈱"),
        ("\u2013繁體①".encode("gb18030"), "GB_2312-80", "\u2013繁體①"),
        ("똠방각하".encode("cp949"), "ks_c_5601-1987", "똠방각하"),
        ("ş\u0131k".encode("cp1254"), "iso-8859-9", "ş\u0131k"),
        ("“x”".encode("cp1252"), "latin1", "“x”"),
        ("สวัสดี".encode("cp874"), "tis-620", "สวัสดี"),
        ("שלום".encode("iso8859-8"), "iso-8859-8-i", "שלום"),
        ("Hallo".encode("utf-8-sig"), "utf-8", "Hallo"),
        (b"Hallo", "'utf-8' ", "Hallo"),
    ],
)
def test_wrong_and_smaller_character_sets(raw: bytes, charset: str | None, read: str) -> None:
    """The superset is used, valid UTF-8 is UTF-8 whatever the label says, and escape sequences show ISO-2022-JP."""
    assert decode_text(raw, charset) == read


def test_few_characters_do_not_contradict_a_multi_byte_set() -> None:
    """Bytes that are valid in both are UTF-8 from four characters beyond ASCII on."""
    both = "п"
    assert decode_text((both * (MIN_CERTAIN_CHARACTERS - 1)).encode(), "gbk") != both * (MIN_CERTAIN_CHARACTERS - 1)
    assert decode_text((both * MIN_CERTAIN_CHARACTERS).encode(), "gbk") == both * MIN_CERTAIN_CHARACTERS
    assert decode_text((both * (MIN_CERTAIN_CHARACTERS + 1)).encode(), "gbk") == both * (MIN_CERTAIN_CHARACTERS + 1)


@pytest.mark.parametrize(
    ("html", "charset"),
    [
        (b"<meta charset=gb2312>", "gb2312"),
        (b'<META http-equiv="Content-Type" content="text/html; charset=KOI8-R">', "KOI8-R"),
        (b"charset=gb2312", None),
        (b" " * (MAX_META_BYTES - 21) + b"<meta charset=gb2312>", "gb2312"),
        (b" " * (MAX_META_BYTES - 14) + b"<meta charset=gb2312>", None),
    ],
)
def test_html_declares_its_character_set(html: bytes, charset: str | None) -> None:
    """A meta element within the first bytes names the character set."""
    assert find_declared_charset(html) == charset


def test_a_header_in_supersets() -> None:
    """Encoded words are decoded as texts are: by the superset of their character set."""
    assert decode_header_text("=?iso-2022-jp?b?GyRCLWobKEI=?= <a@x.example>") == "㈱ <a@x.example>"
    assert decode_header_text("Re: =?gb2312?B?u9i4tA==?= One") == "Re: 回复 One"
    assert find_codec("x-sjis") == "cp932"
