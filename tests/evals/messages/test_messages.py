"""What comes of messages whose authors did not know the rules."""

import pytest

from tests.evals.messages.score import read_cases, score
from tests.trials.trial import Trial

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900, func_only=True)]


@pytest.mark.parametrize(("name", "noes", "held"), [("first", 0.97, 1.0), ("second", 0.97, 1.0), ("third", 0.86, 0.97)])
async def test_messages_that_came_back(trial: Trial, name: str, noes: float, held: float) -> None:
    """No person and no machine is taken for a no; noes, reports and dates are read as well as `docs/evals.md` says."""
    result = await score(trial, read_cases(name))
    assert result.taken_for_a_no == []
    assert result.rate("no") >= noes, result.wrong
    assert result.rate("person") == 1, result.wrong
    assert [kind for kind in ("hint", "machine", "soft") if result.rate(kind) < 1] == [], result.wrong
    assert [kind for kind in ("complaint", "hard_bounce", "left") if result.rate(kind) < 0.8] == [], result.wrong
    assert result.date_rate() >= 0.95, result.wrong
    assert result.heard_or_held >= held * result.total["no"]
