"""The repository uses plain words."""

import pytest

from tests.architecture import words


def test_no_file_has_a_banned_word() -> None:
    """Names, comments, texts and documents have none of the words that the rules of plain language ban."""
    assert list(words.banned()) == []


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("api/a.py", "def told() -> None: ...", ["told"]),
        ("api/a.py", '"""One.\n\nNobody waits."""', ["nobody"]),
        ("api/a.py", "x = 1  # for good", ["for good"]),
        ("api/a.py", "def send(request: int) -> int:\n    return request", []),
        ("api/a.sql", "SELECT asked FROM a -- Asked once.", ["asked"]),
        ("database/migrations/a.sql", "SELECT asked FROM a -- Nobody waits.", ["nobody"]),
        ("tests/database/catalogue.txt", "app.a: column 01 asked bigint", ["asked"]),
        ("docs/a.md", "Ask whoever runs it.", ["whoever"]),
        ("ai/workflows/a/words/en.toml", "# Ask nobody.\nsure = ['nobody wants it']", ["nobody"]),
    ],
)
def test_banned_words_are_found(path: str, text: str, found: list[str]) -> None:
    """A banned word is found in names, strings, comments and documents, and not in phrases that people write."""
    assert [word.word for word in words.banned_in(path, text)] == found
