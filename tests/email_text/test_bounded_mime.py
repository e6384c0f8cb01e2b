import pytest

from email_text.bounded_mime import MAX_PART_DEPTH, MAX_PARTS, MimeLimitExceeded, parse_message


def messages(depth: int) -> bytes:
    """Return nested attached messages."""
    return b"Content-Type: message/rfc822\r\n\r\n" * (depth - 1) + b"Subject: innermost\r\n\r\nx"


def multiparts(depth: int) -> bytes:
    """Return nested multiparts around a plain text."""
    nested = b"Subject: innermost\r\n\r\nx"
    for level in range(depth - 1):
        boundary = b"b%d" % level
        nested = b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n--%b\r\n%b\r\n--%b--\r\n' % (
            *(boundary, boundary, nested, boundary),
        )
    return nested


@pytest.mark.parametrize("nested", [messages, multiparts])
def test_part_depth_is_limited(nested: object) -> None:
    """Messages up to the depth limit are parsed to the innermost part; deeper ones raise an error with the limit."""
    assert callable(nested)
    for depth in (1, MAX_PART_DEPTH - 1, MAX_PART_DEPTH):
        parts = list(parse_message(nested(depth)).walk())
        assert (len(parts), parts[-1]["Subject"]) == (depth, "innermost")
    for depth in (MAX_PART_DEPTH + 1, 3000):
        with pytest.raises(MimeLimitExceeded, match=r"^nests deeper than 100 levels$"):
            parse_message(nested(depth))


def test_the_number_of_parts_is_limited() -> None:
    """A part may have ten thousand parts; with one more the message is rejected, with the limit."""
    for count in (MAX_PARTS - 1, MAX_PARTS, MAX_PARTS + 1):
        raw = b"Content-Type: message/delivery-status\r\n\r\n" + b"Action: failed\r\n\r\n" * (count - 1) + b"x: y\r\n"
        if count <= MAX_PARTS:
            assert len(list(parse_message(raw).walk())) == count + 1
        else:
            with pytest.raises(MimeLimitExceeded, match=r"^has more than 10,000 parts side by side$"):
                parse_message(raw)
