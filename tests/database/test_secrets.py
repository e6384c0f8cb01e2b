from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database.errors import DatabaseError
from database.roles import connect, owner_url
from database.secrets import SecretBox, UndecipherableSecret, credential_hash, new_token
from domain.suppression import suppression_hash


@given(st.text(max_size=200))
@settings(max_examples=30, deadline=None)
def test_a_secret_comes_back_and_is_not_readable_before(secret: str) -> None:
    """Any text survives the round trip, and two encryptions of it differ."""
    box = SecretBox("a key")
    one, two = box.encrypt(secret), box.encrypt(secret)
    assert box.decrypt(one) == box.decrypt(two) == secret
    assert one != two
    assert len(secret) < 4 or secret not in one


def test_keys_can_be_rotated() -> None:
    """With the new key in front and the old one behind, old secrets are read and new ones need only the new key."""
    written_before = SecretBox("old").encrypt("s3cret")
    both = SecretBox("new, old")
    assert both.decrypt(written_before) == "s3cret"
    assert SecretBox("new").decrypt(both.encrypt("s3cret")) == "s3cret"


def test_another_key_is_told_what_to_do() -> None:
    """A secret under another key, or a damaged one, raises a sentence that names the setting and not the secret."""
    token = SecretBox("old").encrypt("s3cret")
    for damaged in (token, token[:-6], "", "nonsense"):
        with pytest.raises(UndecipherableSecret, match="SALESMATTER_SECRET_KEY") as raised:
            SecretBox("new").decrypt(damaged)
        assert isinstance(raised.value, DatabaseError)
        assert "s3cret" not in str(raised.value)


def test_tokens_are_long_and_never_the_same() -> None:
    """A token has 256 bits and fits into a URL; what is stored of it is its SHA-256."""
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 43 and token.replace("-", "").replace("_", "").isalnum() for token in tokens)
    assert credential_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80) | st.emails())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_python_and_sql_suppress_the_same(database_url: str, value: str) -> None:
    """The database's suppression hash is the domain's, for every printable address."""
    workspace = uuid4()
    with connect(owner_url(database_url)) as connection:
        found = connection.execute("SELECT app.suppression_hash(%s, %s)", [workspace, value]).fetchone()
    assert found == (suppression_hash(workspace, value),)
