import pytest

from domain.bounded_mime import MAX_PART_DEPTH, PartsNestTooDeep, parse_message


def messages(depth: int) -> bytes:
    """Return messages within each other."""
    return b"Content-Type: message/rfc822\r\n\r\n" * (depth - 1) + b"Subject: innermost\r\n\r\nx"


def multiparts(depth: int) -> bytes:
    """Return multiparts within each other, the innermost a plain text."""
    nested = b"Subject: innermost\r\n\r\nx"
    for level in range(depth - 1):
        bound = b"b%d" % level
        nested = b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n--%b\r\n%b\r\n--%b--\r\n' % (
            *(bound, bound, nested, bound),
        )
    return nested


@pytest.mark.parametrize("nested", [messages, multiparts])
def test_parts_end_at_the_limit(nested: object) -> None:
    """One level less than the limit and the limit are read to the innermost; one more is refused with the limit."""
    assert callable(nested)
    for depth in (1, MAX_PART_DEPTH - 1, MAX_PART_DEPTH):
        parts = list(parse_message(nested(depth)).walk())
        assert (len(parts), parts[-1]["Subject"]) == (depth, "innermost")
    for depth in (MAX_PART_DEPTH + 1, 3000):
        with pytest.raises(PartsNestTooDeep, match=r"^nests deeper than 100 levels$"):
            parse_message(nested(depth))


def test_many_parts_side_by_side() -> None:
    """Any number of parts may stand beside each other."""
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    raw = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + part * 500 + b"--b--\r\n"
    assert len(list(parse_message(raw).walk())) == 501
