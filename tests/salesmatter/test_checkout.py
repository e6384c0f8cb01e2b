import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from salesmatter.checkout import ensure_state_dir, load_secret_key


def test_the_secret_key_is_generated_once_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent callers get the same key, and only the owner can read its file."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SALESMATTER_SECRET_KEY", raising=False)

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_secret_key(), range(16)))

    assert len(keys) == 1
    assert stat.S_IMODE((ensure_state_dir() / "secret.key").stat().st_mode) == 0o600
    assert {path.name for path in ensure_state_dir().iterdir()} == {"secret.key"}


def test_a_given_secret_key_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SALESMATTER_SECRET_KEY takes precedence over the file, and no file is created."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path))
    monkeypatch.setenv("SALESMATTER_SECRET_KEY", "given")

    assert load_secret_key() == "given"
    assert list(tmp_path.iterdir()) == []
