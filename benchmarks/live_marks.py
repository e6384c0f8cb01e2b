"""Marks commits with a number in the company of the changed leads, so that subscribers recognize them."""

CHANNEL = "bench_marks"
"""The channel of plain notifications."""
MARKED_ROLE = "Marked"
"""The role of the leads that commits change."""

_PREFIX = "commit "
_PATTERN = f'"company":"{_PREFIX}'.encode()


def make_mark(number: int) -> str:
    """Return the company that the commit with this number writes."""
    return f"{_PREFIX}{number}"


def find_number(event: bytes) -> int | None:
    """Return the number of the commit in an event, or None."""
    start = event.find(_PATTERN)
    if start < 0:
        return None
    start += len(_PATTERN)
    return int(event[start : event.index(b'"', start)])
