"""Feeds a parser ever longer hostile texts, and compares how the work grows with the length."""

import gc
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T", str, bytes)

LENGTH = 8_192
SHARE = 4
"""How many times shorter the text is with which a text is compared."""
MOST_GROWTH = 8
"""How many times more work the longer text may take: linear work grows 4 times, quadratic work 16 times."""
FREE_SECONDS = 0.01
"""Less than this is not compared, because it measures the clock and not the parser."""
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
    *(
        "<a ",
        "<a href=",
        "<p>",
        "</p>",
        "</body>",
        "<!--",
        "<style",
        '<div style="',
        "&#",
        "&amp",
        "<b",
        "<td>",
        "<blockquote>",
    ),
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
END = "\x01x"
"""What stands after the repeated piece, so that it is not the end."""


def find_steep(read: Callable[[str], object], *, pieces: Sequence[str] = PIECES) -> list[str]:
    """Return the shapes of text of which four times as much takes more than eight times the work; none is good."""
    steep = []
    for piece in pieces:
        growth = measure_growth(read, partial(_frame, piece))
        if growth is not None:
            steep.append(f"{piece!r}: {growth}")
    return steep


def _frame(piece: str, length: int) -> str:
    return repeat(piece, length - len(END)) + END


def repeat(piece: T, length: int) -> T:
    """Return a text of this length that repeats a piece."""
    return (piece * (length // len(piece) + 1))[:length]


def measure_growth(read: Callable[[Any], object], make: Callable[[int], Any], *, length: int = LENGTH) -> str | None:
    """Return a sentence if the work for a text grows too fast with its length, or None.

    Work is the CPU time of the process, the least of several attempts: a longer time is one that was disturbed.
    """
    long, short = make(length), make(length // SHARE)
    more = _measure(read, long)
    less = _measure(read, short) if more > FREE_SECONDS else more
    for _ in range(ATTEMPTS):
        if more <= MOST_GROWTH * less + FREE_SECONDS:
            return None
        more, less = min(more, _measure(read, long)), min(less, _measure(read, short))
    return f"{length // SHARE:,} take {less:.4f} s, {length:,} take {more:.4f} s"


def _measure(read: Callable[[Any], object], text: Any) -> float:
    gc.disable()  # a collection costs as much as all objects of the process
    try:
        started = time.process_time()
        read(text)
        return time.process_time() - started
    finally:
        gc.enable()
