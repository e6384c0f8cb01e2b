from pathlib import Path

import pytest

from salesmatter.environment import _lock_checkout
from salesmatter.environment_builder import Checkout
from tests.blocking import prove_file_lock


@pytest.mark.locks("salesmatter.environment:_lock_checkout:1", "salesmatter.environment:_lock_checkout:2")
def test_only_one_make_at_a_time_creates_the_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A make waits for another make of the same checkout and says so; otherwise it prints nothing."""
    checkout = Checkout(tmp_path)

    def enter() -> str:
        with _lock_checkout(checkout):
            return capsys.readouterr().err

    waited = prove_file_lock(checkout.state / "environment.lock", enter)
    assert waited == "Another make is creating the environment. Waiting for it to finish.\n"
    assert enter() == ""
