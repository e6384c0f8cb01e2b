import json
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.bounded_json import MAX_DEPTH, MAX_NUMBER_LENGTH, JsonLimitExceeded, parse_json, require_json_limits

BRACKETS = st.text(alphabet='[]{}"\\9-', max_size=8)
"""Texts with brackets and quotes, for use inside of quoted strings."""
VALUES = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | BRACKETS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(BRACKETS, inner, max_size=3),
    max_leaves=20,
)


def arrays(depth: int) -> str:
    """Return nested arrays."""
    return "[" * depth + "]" * depth


def objects(depth: int) -> str:
    """Return nested objects."""
    return '{"a":' * depth + "1" + "}" * depth


def depth_of(value: Any) -> int:
    """Return how many levels a value nests."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@pytest.mark.parametrize("nested", [arrays, objects])
def test_nesting_is_limited(nested: Any) -> None:
    """Texts up to the depth limit are parsed; one level more, and 100,000 more, raise an error that names the limit."""
    for depth in (MAX_DEPTH - 1, MAX_DEPTH):
        assert parse_json(nested(depth)) == json.loads(nested(depth))
    for depth in (MAX_DEPTH + 1, MAX_DEPTH + 100_000):
        with pytest.raises(JsonLimitExceeded, match=r"^nests deeper than 64 levels$"):
            parse_json(nested(depth))


def test_the_caller_can_set_the_depth() -> None:
    """`max_depth` replaces the default depth limit, for texts and for bytes."""
    assert parse_json(arrays(200).encode(), max_depth=200) == json.loads(arrays(200))
    with pytest.raises(JsonLimitExceeded, match=r"^nests deeper than 199 levels$"):
        parse_json(arrays(200), max_depth=199)


@pytest.mark.parametrize("begin", ["", "-", "0.", "1e", "-1.5E-"])
@pytest.mark.parametrize("around", ["%s", "[%s]", '{"a": %s}', "[1,%s ]"])
def test_number_length_is_limited(begin: str, around: str) -> None:
    """A number in any notation is parsed up to the length limit and refused from one character more."""
    for length in (MAX_NUMBER_LENGTH - 1, MAX_NUMBER_LENGTH):
        text = around % (begin + "9" * (length - len(begin)))
        assert parse_json(text) == json.loads(text)
    for length in (MAX_NUMBER_LENGTH + 1, MAX_NUMBER_LENGTH + 5000):
        with pytest.raises(JsonLimitExceeded, match=r"^contains a number longer than 600 characters$"):
            parse_json(around % (begin + "9" * (length - len(begin))))


def test_the_longest_number_is_parsed_under_the_strictest_python_limit() -> None:
    """A number at our limit is parsed even when Python's own digit limit has its lowest value."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(sys.int_info.str_digits_check_threshold)
    try:
        assert parse_json("9" * MAX_NUMBER_LENGTH) == 10**MAX_NUMBER_LENGTH - 1
    finally:
        sys.set_int_max_str_digits(before)


def test_quoted_text_is_not_limited() -> None:
    """Brackets and digits inside of strings do not count, even after escaped quotes and backslashes."""
    for text in ("[" * 1000, "9" * 1000, '"' + "[" * 1000, "\\", '\\"' + "{" * 1000, "\\" + "9" * 1000):
        value = [text, {text: [[]]}] * 40
        assert parse_json(json.dumps(value)) == value
    assert parse_json('"["', max_depth=0) == "["


@given(VALUES)
@example(['\\"[[', {"{": [[]]}])
def test_the_measured_depth_is_the_depth_of_the_value(value: Any) -> None:
    """A value parses with its own depth as limit and fails with one level less, whatever strings it contains."""
    text = json.dumps(value)
    assert parse_json(text, max_depth=depth_of(value)) == value
    if depth_of(value):
        with pytest.raises(JsonLimitExceeded):
            require_json_limits(text, max_depth=depth_of(value) - 1)


@given(st.text(alphabet='[]{}",:\\19-.eE ', max_size=60))
def test_invalid_json_is_refused(text: str) -> None:
    """Any text gives the same value as json.loads, or both raise a ValueError."""
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            parse_json(text)
    else:
        assert repr(parse_json(text)) == repr(expected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_bytes_are_decoded_by_their_first_bytes(encoding: str) -> None:
    """UTF-8, UTF-16 and UTF-32 bytes are parsed, with and without a byte order mark."""
    assert parse_json('{"name": "Zoë"}'.encode(encoding)) == {"name": "Zoë"}


def test_a_lone_surrogate_is_refused() -> None:
    """Bytes that encode half of a surrogate pair, which Postgres cannot store, raise UnicodeDecodeError."""
    with pytest.raises(UnicodeDecodeError):
        parse_json(b'"\xed\xa0\x80"')
