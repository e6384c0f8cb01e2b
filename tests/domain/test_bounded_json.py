import json
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.bounded_json import MAX_DEPTH, MAX_NUMBER_LENGTH, JsonLimitExceeded, parse_json, require_json_limits

BRACKETS = st.text(alphabet='[]{}"\\9-', max_size=8)
"""Texts in which what counts outside of quotes is quoted."""
VALUES = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | BRACKETS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(BRACKETS, inner, max_size=3),
    max_leaves=20,
)


def arrays(depth: int) -> str:
    """Return arrays within each other."""
    return "[" * depth + "]" * depth


def objects(depth: int) -> str:
    """Return objects within each other."""
    return '{"a":' * depth + "1" + "}" * depth


def depth_of(value: Any) -> int:
    """Return how many levels a value nests."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@pytest.mark.parametrize("nested", [arrays, objects])
def test_nesting_ends_at_the_limit(nested: Any) -> None:
    """One level less than the limit and the limit are read; one more is refused with the limit, and 100,000 more."""
    for depth in (MAX_DEPTH - 1, MAX_DEPTH):
        assert parse_json(nested(depth)) == json.loads(nested(depth))
    for depth in (MAX_DEPTH + 1, MAX_DEPTH + 100_000):
        with pytest.raises(JsonLimitExceeded, match=r"^nests deeper than 64 levels$"):
            parse_json(nested(depth))


def test_a_caller_may_set_another_depth() -> None:
    """The depth that a caller allows is what counts, for texts and for bytes."""
    assert parse_json(arrays(200).encode(), max_depth=200) == json.loads(arrays(200))
    with pytest.raises(JsonLimitExceeded, match=r"^nests deeper than 199 levels$"):
        parse_json(arrays(200), max_depth=199)


@pytest.mark.parametrize("begin", ["", "-", "0.", "1e", "-1.5E-"])
@pytest.mark.parametrize("around", ["%s", "[%s]", '{"a": %s}', "[1,%s ]"])
def test_numbers_end_at_the_limit(begin: str, around: str) -> None:
    """Every way of writing a number is read up to the limit of its characters, and refused from one more on."""
    for length in (MAX_NUMBER_LENGTH - 1, MAX_NUMBER_LENGTH):
        text = around % (begin + "9" * (length - len(begin)))
        assert parse_json(text) == json.loads(text)
    for length in (MAX_NUMBER_LENGTH + 1, MAX_NUMBER_LENGTH + 5000):
        with pytest.raises(JsonLimitExceeded, match=r"^holds a number of more than 600 characters$"):
            parse_json(around % (begin + "9" * (length - len(begin))))


def test_the_strictest_python_reads_the_longest_number() -> None:
    """A number at the limit is read where Python's own limit is set as low as it can be."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(sys.int_info.str_digits_check_threshold)
    try:
        assert parse_json("9" * MAX_NUMBER_LENGTH) == 10**MAX_NUMBER_LENGTH - 1
    finally:
        sys.set_int_max_str_digits(before)


def test_quoted_text_has_no_limit() -> None:
    """Brackets and digits within quotes are text, also behind quotes and backslashes that are escaped."""
    for text in ("[" * 1000, "9" * 1000, '"' + "[" * 1000, "\\", '\\"' + "{" * 1000, "\\" + "9" * 1000):
        value = [text, {text: [[]]}] * 40
        assert parse_json(json.dumps(value)) == value
    assert parse_json('"["', max_depth=0) == "["


@given(VALUES)
@example(['\\"[[', {"{": [[]]}])
def test_the_depth_is_that_of_the_value(value: Any) -> None:
    """Whatever texts a value holds, its own depth is allowed and one level less is not."""
    text = json.dumps(value)
    assert parse_json(text, max_depth=depth_of(value)) == value
    if depth_of(value):
        with pytest.raises(JsonLimitExceeded):
            require_json_limits(text, max_depth=depth_of(value) - 1)


@given(st.text(alphabet='[]{}",:\\19-.eE ', max_size=60))
def test_what_is_no_json_is_refused(text: str) -> None:
    """Any text is read as Python reads it, or both refuse it with a ValueError."""
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            parse_json(text)
    else:
        assert repr(parse_json(text)) == repr(expected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(encoding: str) -> None:
    """Bytes are decoded as their first ones say."""
    assert parse_json('{"name": "Zoë"}'.encode(encoding)) == {"name": "Zoë"}


def test_half_of_a_pair_is_no_utf8() -> None:
    """Bytes that encode half of a surrogate pair, which no database stores, are refused."""
    with pytest.raises(UnicodeDecodeError):
        parse_json(b'"\xed\xa0\x80"')
