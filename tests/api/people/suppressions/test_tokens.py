from uuid import uuid4

import pytest

from api.people.suppressions.tokens import InvalidToken, UnsubscribeToken, read_unsubscribe_token, unsubscribe_token

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
