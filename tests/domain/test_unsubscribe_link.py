from uuid import uuid4

import pytest

from domain.unsubscribe_link import (
    InvalidToken,
    UnsubscribeToken,
    find_workspace_id,
    read_unsubscribe_link,
    read_unsubscribe_token,
    unsubscribe_token,
)

IDS = uuid4(), uuid4(), uuid4()


def test_token_reads_back() -> None:
    """A token says whose no it is, fits a URL as it is, and holds no more than its three ids and a signature."""
    token = unsubscribe_token("key", *IDS)
    assert read_unsubscribe_token("key", token) == UnsubscribeToken(*IDS)
    assert len(token) == 86
    assert token.replace("-", "").replace("_", "").isalnum()


def test_token_survives_key_rotation() -> None:
    """While a key is rotated, links signed with the old one work, and new ones are signed with the new one."""
    old = unsubscribe_token("old", *IDS)
    assert read_unsubscribe_token("new, old", old).lead_id == IDS[1]
    assert unsubscribe_token("new, old", *IDS) == unsubscribe_token("new", *IDS)


@pytest.mark.parametrize("token", ["", "x", "ä" * 86, "A" * 86, "!" * 86, "A" * 5000, "AAAA\x00"])
def test_broken_token(token: str) -> None:
    """What is not whole or not ours is refused, whatever it is made of."""
    with pytest.raises(InvalidToken):
        read_unsubscribe_token("key", token)


def test_changed_token() -> None:
    """A token of another key, or with one letter changed anywhere, is refused."""
    token = unsubscribe_token("key", *IDS)
    with pytest.raises(InvalidToken):
        read_unsubscribe_token("another", token)
    for place in range(len(token) - 1):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(InvalidToken):
            read_unsubscribe_token("key", token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize("before", ["", "%20", "<", "%22", "/", "="])
@pytest.mark.parametrize(
    "after", ["", ".", ")>", "%22", "%2522", "=", "%3D", "/", "%0D%0A", "?a=b", "%3Fa%3Db", "/more"]
)
def test_a_token_is_cleaned(before: str, after: str) -> None:
    """What mail programs put around a token and line breaks within it are left out, also encoded twice."""
    token = unsubscribe_token("key", *IDS)
    for whole in (token, f"{token[:40]}%0A{token[40:]}", f"{token[:40]}=\r\n{token[40:]}"):
        assert read_unsubscribe_link("key", f"{before}{whole}{after}") == UnsubscribeToken(*IDS)


@pytest.mark.parametrize(("kept", "is_whole"), [(85, False), (86, True), (87, True)])
def test_a_token_that_was_cut_stays_cut(kept: int, is_whole: bool) -> None:
    """A token without its last letter is refused; with all its letters, or one letter too many, it is read."""
    token = unsubscribe_token("key", *IDS)
    if is_whole:
        assert read_unsubscribe_link("key", f"{token}A"[:kept]) == UnsubscribeToken(*IDS)
    else:
        with pytest.raises(InvalidToken):
            read_unsubscribe_link("key", f"{token}A"[:kept])


@pytest.mark.parametrize("length", [22, 43, 85])
def test_workspace_of_a_broken_token(length: int) -> None:
    """A token that was cut still tells its workspace; that proves nothing."""
    token = unsubscribe_token("key", *IDS)
    assert find_workspace_id(f"%22{token[:length]}") == IDS[0]


@pytest.mark.parametrize("text", ["", "x" * 21, "%00" * 30, "ä" * 40, " " * 40])
def test_no_workspace_in_a_broken_token(text: str) -> None:
    """Where the beginning of the token is gone, no workspace is named."""
    assert find_workspace_id(text) is None
