from pathlib import Path

import pytest

from salesmatter.environment import _turn
from salesmatter.environment_maker import Checkout
from tests.blocking import prove_file_lock


@pytest.mark.locks("salesmatter.environment:_turn:1", "salesmatter.environment:_turn:2")
def test_one_make_at_a_time_makes_the_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A make says that it waits for another make of the same checkout, and waits; alone it says nothing."""
    checkout = Checkout(tmp_path)

    def enter() -> str:
        with _turn(checkout):
            return capsys.readouterr().err

    waited = prove_file_lock(checkout.state / "environment.lock", enter)
    assert waited == "Another make is making the environment; waiting for it.\n"
    assert enter() == ""
