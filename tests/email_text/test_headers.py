import pytest

from email_text.headers import decode_header_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?utf-8?b?R3LDvMOf?= =?utf-8?q?e?=", "Grüße"),
        ("=?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?=", "Grüße"),
        ("Re: =?iso-8859-1?q?Gr=FC=DFe?= and more", "Re: Grüße and more"),
        ("=?utf-8?q?a?= =?iso-8859-1?q?=FC?=", "aü"),
        ("=?utf-8*de?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?unknown-set?q?a?=", "=?unknown-set?q?a?="),
        ("Gr\udcc3\udcbc\udcc3\udc9fe", "Grüße"),
        ("Gr\udcfc\udcdfe", "Grüße"),
        ("Grüße", "Grüße"),
        ("Grüße =?utf-8?q?=C3=BC?=", "Grüße ü"),
        ("a\x00b\n c", "ab c"),
    ],
)
def test_decoded_headers(value: str, text: str) -> None:
    """Encoded words are decoded and joined, raw bytes are read as UTF-8, and a header is one line."""
    assert decode_header_text(value) == text
