"""How a commit is known again in what a subscriber is sent: by a number in the company of the leads that it changed."""

CHANNEL = "bench_marks"
"""Where bare notifications go."""
MARKED = "Marked"
"""The role of leads that are written again and again."""

_WORD = "commit "
_FOUND = f'"company":"{_WORD}'.encode()


def mark(number: int) -> str:
    """Return what is written with the commit of this number."""
    return f"{_WORD}{number}"


def number_in(event: bytes) -> int | None:
    """Return the number of the commit that an event brings, None where it brings none."""
    start = event.find(_FOUND)
    if start < 0:
        return None
    start += len(_FOUND)
    return int(event[start : event.index(b'"', start)])
