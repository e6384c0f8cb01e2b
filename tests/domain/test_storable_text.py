import pytest

from domain.storable_text import UNSTORABLE, remove_unstorable


@pytest.mark.parametrize(
    ("text", "storable"),
    [
        ("", ""),
        ("Grüße 😀\n\t\x01", "Grüße 😀\n\t\x01"),
        ("a\x00b", "ab"),
        ("é\x00\ud83d", "é?"),
        ("\ud83d\ude00", "??"),
    ],
)
def test_unstorable_characters_are_removed(text: str, storable: str) -> None:
    """NUL characters are removed, halves of surrogate pairs become question marks, and all other text is unchanged."""
    assert remove_unstorable(text) == storable
    assert UNSTORABLE.search(storable) is None
    assert (UNSTORABLE.search(text) is None) == (text == storable)
