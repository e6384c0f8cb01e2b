from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from database.errors import DatabaseError
from database.roles import connect, owner_url
from database.secrets import SecretBox, UndecipherableSecret, generate_token, hash_credential
from domain.suppression import derive_person_key, normalise_address
from tests.suppression_hash import suppression_hash


@given(st.text(max_size=200))
@settings(max_examples=30, deadline=None)
def test_a_secret_is_encrypted_and_decrypted(secret: str) -> None:
    """Decryption returns the encrypted text, and two encryptions of it differ."""
    box = SecretBox("a key")
    first, second = box.encrypt(secret), box.encrypt(secret)
    assert box.decrypt(first) == box.decrypt(second) == secret
    assert first != second
    assert len(secret) < 4 or secret not in first


def test_keys_can_be_rotated() -> None:
    """With the new key first and the old key second, old secrets are decrypted and new ones need only the new key."""
    old_token = SecretBox("old").encrypt("s3cret")
    both = SecretBox("new, old")
    assert both.decrypt(old_token) == "s3cret"
    assert SecretBox("new").decrypt(both.encrypt("s3cret")) == "s3cret"


def test_a_wrong_key_gets_a_clear_error() -> None:
    """The error for a wrong key or a damaged token names the setting and does not contain the secret."""
    token = SecretBox("old").encrypt("s3cret")
    for damaged in (token, token[:-6], "", "nonsense"):
        with pytest.raises(UndecipherableSecret, match="SALESMATTER_SECRET_KEY") as raised:
            SecretBox("new").decrypt(damaged)
        assert isinstance(raised.value, DatabaseError)
        assert "s3cret" not in str(raised.value)


def test_tokens_are_long_and_unique() -> None:
    """A token has 256 random bits and is URL-safe; its SHA-256 is stored."""
    tokens = {generate_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 43 and token.replace("-", "").replace("_", "").isalnum() for token in tokens)
    assert hash_credential("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


_LIKE_ADDRESSES = st.text(st.sampled_from('ab.+@"Ü '), max_size=12)
_DOMAINS = st.sampled_from(["gmail.com", "googlemail.com", "mail.gmail.com", "x.example", "bücher.example"])


@given(
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)
    | st.emails()
    | st.tuples(_LIKE_ADDRESSES, _DOMAINS).map("@".join)
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_database_computes_the_suppression_hash(database_url: str, value: str) -> None:
    """The database computes the person key and the hash of their definitions for every canonical address."""
    account, address = uuid4(), normalise_address(value)
    with connect(owner_url(database_url)) as connection:
        row = connection.execute(
            "SELECT app.person_key(%s), app.suppression_hash(%s, %s)", [address, account, address]
        ).fetchone()
    assert row == (derive_person_key(address), suppression_hash(account, address))
