"""Removes from a reply the text of the mail that it answers, where no quote mark shows it."""

import re
from itertools import islice

MAX_SENT_CHARACTERS = 20_000
MAX_REPLY_CHARACTERS = 100_000
SHARED_WORDS = 6
"""How many words in a row a reply and the sent mail must share; people rarely repeat as many."""
MAX_FOOTER_WORDS = 6

_WORD = re.compile(r"[^\W_]+")
_URL = re.compile(r"https?://[^\s<>\"')\]]+")
_LINK_LINE = re.compile(r"^\W*unsubscribe\W{0,4}https?://\S+\W*$", re.IGNORECASE)
"""The last line of the footer of every mail that we send."""


def remove_sent_text(reply: str, sent: str) -> str:
    """Return a reply without our unsubscribe link, and without runs of at least six words of the sent text.

    A line without any other word is left out. Shorter runs stay, because an answer may repeat words of the question.
    """
    reply = reply[:MAX_REPLY_CHARACTERS]
    sent_words = [match[0].casefold() for match in _WORD.finditer(sent[:MAX_SENT_CHARACTERS])]
    runs = {tuple(sent_words[start : start + SHARED_WORDS]) for start in range(len(sent_words) - SHARED_WORDS + 1)}
    matches = list(_WORD.finditer(reply)) if runs else []
    words = [match[0].casefold() for match in matches]
    shared = bytearray(len(words))
    for start in range(len(words) - SHARED_WORDS + 1):
        if tuple(words[start : start + SHARED_WORDS]) in runs:
            shared[start : start + SHARED_WORDS] = b"\x01" * SHARED_WORDS
    urls = set(_URL.findall(sent[:MAX_SENT_CHARACTERS]))
    lines, position, index = [], 0, 0
    for line in reply.split("\n"):
        end = position + len(line)
        count = 0
        while index + count < len(matches) and matches[index + count].start() < end:
            count += 1
        kept = _keep_own_words(line, position, matches[index : index + count], shared[index : index + count])
        if kept is not None and not _is_footer_link(line, urls):
            lines.append(kept)
        index += count
        position = end + 1
    return "\n".join(lines)


def _keep_own_words(line: str, offset: int, matches: list[re.Match[str]], shared: bytearray) -> str | None:
    """Return a line without the shared words; None if it had no others."""
    if not any(shared):
        return line
    if all(shared):
        return None
    pieces, start = [], 0
    for match, is_shared in zip(matches, shared, strict=True):
        if is_shared:
            pieces.append(line[start : match.start() - offset])
            start = match.end() - offset
    pieces.append(line[start:])
    return " ".join("".join(pieces).split())


def _is_footer_link(line: str, urls: set[str]) -> bool:
    if _LINK_LINE.match(line):
        return True
    words = islice(_WORD.finditer(_URL.sub("", line)), MAX_FOOTER_WORDS)
    return any(url in urls for url in _URL.findall(line)) and len(list(words)) < MAX_FOOTER_WORDS
