import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from salesmatter.checkout import secret_key, state


def test_the_secret_key_is_made_once_and_kept_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody who asks at once gets the same key, and no other user of the machine can read it."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SALESMATTER_SECRET_KEY", raising=False)

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: secret_key(), range(16)))

    assert len(keys) == 1
    assert stat.S_IMODE((state() / "secret.key").stat().st_mode) == 0o600
    assert {path.name for path in state().iterdir()} == {"secret.key"}


def test_a_given_secret_key_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SALESMATTER_SECRET_KEY outranks the file, and none is made."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path))
    monkeypatch.setenv("SALESMATTER_SECRET_KEY", "given")

    assert secret_key() == "given"
    assert list(tmp_path.iterdir()) == []
