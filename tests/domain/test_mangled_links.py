"""Signed tokens in unsubscribe links as mail programs and gateways leave them."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.unsubscribe_link import (
    MAX_LINK_CHARACTERS,
    MOST_LEADING,
    InvalidToken,
    UnsubscribeToken,
    read_unsubscribe_link,
    unsubscribe_token,
)

KEY = "a key of the account"
IDS = UnsubscribeToken(UUID(int=1), UUID(int=2), UUID(int=3))
TOKEN = unsubscribe_token(KEY, IDS.workspace_id, IDS.lead_id, IDS.draft_id)
MARKS = [
    *".,;:!?)>]}\"'(<[{/=&#_-*\u201c\u201d\u2018\u2019\u00ab\u00bb\u200b\u00a0 \t\x00",
    *(
        "%22",
        "%27",
        "%2E",
        "%3E",
        "%3D",
        "%253D",
        "%E2%80%9D",
        "=3D",
        "=22",
        "=20",
        "=0D=0A",
        "\r\n",
        "=\r\n",
        "=3D\r\n",
    ),
    *("=3D\r\n", "&quot;", "&gt;", "&lt;", "&amp;", "&#39;", "%0D%0A", "?utm_source=x", "#top"),
]
BREAKS = ["\n", "\r\n", "=\r\n", "=3D\r\n", "=0D=0A", "%0A", "=%0D%0A", " ", "%20", "\u00ad", "\u200b"]


@given(
    before=st.lists(st.sampled_from(MARKS), max_size=2).map("".join),
    after=st.lists(st.sampled_from(MARKS), max_size=4).map("".join),
)
def test_marks_around_a_token(before: str, after: str) -> None:
    """A token is read between any marks, raw and encoded."""
    assert read_unsubscribe_link(KEY, before + TOKEN + after) == IDS


@given(at=st.integers(1, len(TOKEN) - 1), line_break=st.sampled_from(BREAKS))
def test_line_breaks_in_a_token(at: int, line_break: str) -> None:
    """A token is read over a line break at any place."""
    assert read_unsubscribe_link(KEY, TOKEN[:at] + line_break + TOKEN[at:]) == IDS


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"%{ord(letter):02X}" for letter in TOKEN),
        f"https://mail.example/u/{TOKEN}",
        f"{TOKEN}Unsubscribe",
        f"Unsubscribe {TOKEN}",
        f"{TOKEN}/{TOKEN}",
        f"{unsubscribe_token('another key', UUID(int=9), UUID(int=9), UUID(int=9))}/{TOKEN}",
    ],
)
def test_tokens_among_other_text(text: str) -> None:
    """A token is read if it is encoded without need, repeated, or among other words and tokens of other keys."""
    assert read_unsubscribe_link(KEY, text) == IDS


@pytest.mark.parametrize("text", ["", "x" * 5000, TOKEN[:-1], TOKEN[1:], TOKEN.swapcase(), "\x00", "%", "&#x110000;"])
def test_texts_without_a_whole_token(text: str) -> None:
    """A text without a whole token is refused."""
    with pytest.raises(InvalidToken):
        read_unsubscribe_link(KEY, text)


@given(at=st.integers(0, len(TOKEN) - 2), letter=st.sampled_from("Aaz09-_"))
def test_changed_letters(at: int, letter: str) -> None:
    """A token with another letter is refused, and never read as another lead's."""
    changed = TOKEN[:at] + letter + TOKEN[at + 1 :]
    if changed != TOKEN:
        with pytest.raises(InvalidToken):
            read_unsubscribe_link(KEY, changed)


@pytest.mark.parametrize(("before", "is_read"), [(-1, True), (0, True), (1, False)])
def test_bounds(before: int, is_read: bool) -> None:
    """A token is read up to the last character read of a link, and behind the most letters skipped in a word."""
    far = "." * (MAX_LINK_CHARACTERS - len(TOKEN) + before) + TOKEN
    joined = "x" * (MOST_LEADING + before) + TOKEN + "yy"
    for text in (far, joined):
        if is_read:
            assert read_unsubscribe_link(KEY, text) == IDS
        else:
            with pytest.raises(InvalidToken):
                read_unsubscribe_link(KEY, text)
