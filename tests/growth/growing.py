"""Feeds a parser ever longer hostile texts, and compares how the work grows with the length."""

import gc
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T", str, bytes)

FIRST_LENGTH = 1_024
STEP = 4
"""How many times longer the next text is."""
MOST_GROWTH = 8
"""How many times more work it may take: linear work grows 4 times, quadratic work 16 times."""
FREE_SECONDS = 0.01
"""Less than this is not compared, because it measures the clock and not the parser."""
ENOUGH_SECONDS = 0.05
"""After a step that takes so long, a longer text shows nothing new."""
ATTEMPTS = 4

PIECES = (
    *" \n\t\"'<>()[]{}@.,;:-_=?!*/\\|#%&+~^`$0aAé\r\x00\u200b\u3000",
    *(
        "\u2039@",
        "<@",
        "@@",
        "a@",
        "@a.",
        "a.",
        "a@a.",
        "a,",
        '"a',
        '"",',
        "','",
        '"\n',
        '\\"',
        "(\\",
        "<<",
        "><",
        "\"'",
    ),
    *(
        "=?utf-8?q?",
        "=?a?b?",
        "?=",
        "=?utf-8?b?YQ==?= ",
        "On 1 Jan 2026 10:00, ",
        "> ",
        "-- \n",
        "wrote:\n",
        "From: a\n",
    ),
    *("<a ", "<a href=", "<p>", "</p>", "<!--", "<style", '<div style="', "&#", "&amp", "<b", "<td>", "<blockquote>"),
    *("{{", "{%", "}}", "{% if a %}", "{{ a | ", "{# ", "1.", "1,000", "12/", "1/2", "1 ", "1e", "http://", "www."),
    *("mailto:", "a@b.c,", "<a@b.c>", "a@b.c ", "Re: ", "[a] ", "](", "\r\n--b\r\n", "--b\n", "\n\n", "\n ", "\n\t"),
    *("Content-Type: multipart/mixed; boundary=b\n\n", "a: b\n", "a=b&", "a[b]", "[0]", "%41", "\x1b$B", "a b ", "ab-"),
    *("regards\n", "unsubscribe ", '{"a":', "[1,", '"a":1,', "\\u0000", "\\ud800", "a;", "a\t", "a|", "(a", "; name="),
    *(
        '"; a="',
        "::: ",
        "UTC+1 ",
        "d:",
        "\xa0",
        "\u202f",
        "Status: 5.1.1\n",
        "final-recipient: rfc822;a@b.c\n",
        "3 May ",
    ),
)
"""What hostile texts repeat: signs with a meaning in some format, and beginnings that have no end."""
FRAMES = (("", ""), ("a", "\x01x"))
"""What stands before and after the repeated piece."""


def find_steep(read: Callable[[str], object], *, longest: int = 16_384, pieces: Iterable[str] = PIECES) -> list[str]:
    """Return the shapes of text of which four times as much takes more than eight times the work; none is good."""
    steep = []
    for piece in pieces:
        for before, after in FRAMES:
            growth = measure_growth(read, partial(_frame, piece, before, after), longest=longest)
            if growth is not None:
                steep.append(f"{before!r} {piece!r}… {after!r}: {growth}")
    return steep


def _frame(piece: str, before: str, after: str, length: int) -> str:
    return before + repeat(piece, length) + after


def repeat(piece: T, length: int) -> T:
    """Return a text of this length that repeats a piece."""
    return (piece * (length // len(piece) + 1))[:length]


def measure_growth(read: Callable[[Any], object], make: Callable[[int], Any], *, longest: int = 16_384) -> str | None:
    """Return a sentence about the first step in which the work grows too fast, or None.

    Work is the CPU time of the process, the least of several attempts before a step is called too steep.
    """
    length = FIRST_LENGTH
    seconds = _measure(read, make(length))
    while length * STEP <= longest:
        length *= STEP
        following = _measure(read, make(length))
        for _ in range(ATTEMPTS):
            if not _is_steep(seconds, following):
                break
            seconds, following = _least(read, make, length // STEP, seconds), _least(read, make, length, following)
        if _is_steep(seconds, following):
            return f"{length // STEP:,} take {seconds:.4f} s, {length:,} take {following:.4f} s"
        if following > ENOUGH_SECONDS:
            return None
        seconds = following
    return None


def _is_steep(seconds: float, following: float) -> bool:
    return following > MOST_GROWTH * seconds + FREE_SECONDS


def _least(read: Callable[[Any], object], make: Callable[[int], Any], length: int, seconds: float) -> float:
    """Return the least work of a length, measured once more; the longer time is what was disturbed."""
    return min(seconds, _measure(read, make(length)))


def _measure(read: Callable[[Any], object], text: Sequence[Any]) -> float:
    gc.disable()  # a collection costs as much as all objects of the process
    try:
        started = time.process_time()
        read(text)
        return time.process_time() - started
    finally:
        gc.enable()
