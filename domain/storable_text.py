"""Text that Postgres and UTF-8 can hold: without NUL characters and halves of surrogate pairs."""

import re

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Matches a character that cannot be stored."""


def remove_unstorable(text: str) -> str:
    """Return the text without NUL characters, and with a question mark for each half of a surrogate pair."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
