"""What comes of messages whose authors did not know the rules."""

import pytest

from tests.evals.messages.score import read_cases, score
from tests.trials.trial import Trial

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900, func_only=True)]


async def test_first_set(trial: Trial) -> None:
    """No person and no machine is taken for a no; noes, reports and dates are read as well as `docs/evals.md` says."""
    result = await score(trial, read_cases("first"))
    assert result.taken_for_a_no == []
    assert result.right["no"] >= 48, result.wrong
    assert result.rate("person") == 1, result.wrong
    assert [
        kind for kind in ("complaint", "hard_bounce", "hint", "left", "machine", "soft") if result.rate(kind) < 1
    ] == []
    assert result.date_rate() >= 0.95, result.wrong


async def test_second_set(trial: Trial) -> None:
    """The second set is read as well as `docs/evals.md` says."""
    result = await score(trial, read_cases("second"))
    assert result.taken_for_a_no == []
    assert result.right["no"] >= 40, result.wrong
    assert result.rate("person") == 1, result.wrong
    assert result.right["complaint"] >= 4, result.wrong
    assert result.right["hard_bounce"] >= 8, result.wrong
    assert result.right["left"] >= 3, result.wrong
    assert [kind for kind in ("hint", "machine", "soft") if result.rate(kind) < 1] == []
    assert result.dates[True] >= 26, result.wrong
