"""The repository uses plain words."""

import pytest

from tests.architecture import words


def test_no_file_has_a_banned_word() -> None:
    """Names, comments, texts and documents have none of the words that the rules of plain language ban."""
    assert [word for word in words.banned() if not words.is_free(word.path)] == []


def test_only_files_with_banned_words_are_left_out() -> None:
    """A pattern of files that need not be clean yet is removed once they are clean."""
    assert words.unused_patterns() == []


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("api/a.py", "def told() -> None: ...", ["told"]),
        ("api/a.py", '"""One.\n\nNobody waits."""', ["nobody"]),
        ("api/a.py", "x = 1  # for good", ["for good"]),
        ("api/a.py", "def send(request: int) -> int:\n    return request", []),
        ("docs/a.md", "Ask whoever runs it.", ["whoever"]),
        ("ai/workflows/a/words/en.toml", "# Ask nobody.\nsure = ['nobody wants it']", ["nobody"]),
    ],
)
def test_banned_words_are_found(path: str, text: str, found: list[str]) -> None:
    """A banned word is found in names, strings, comments and documents, and not in phrases that people write."""
    assert [word.word for word in words.banned_in(path, text)] == found
