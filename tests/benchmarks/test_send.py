import pytest

from benchmarks.campaign_replay import Campaign
from benchmarks.send import Load, measure
from database.roles import owner_url
from salesmatter.stack import Database

TINY = Load(repetitions=1, emails=40, trickle=10, trickle_seconds=0.5, campaign=Campaign(leads=4, steps=2, cap=2))


def test_the_benchmark_measures_the_engine_beside_a_loop(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker sends emails to a sandbox, a loop posts the same emails, and each figure has its target."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path_factory.mktemp("home")))
    url = owner_url(postgres_url)

    figures = measure(Database(url, url), TINY, lambda _sentence: None)

    assert {figure.figure: (figure.baseline is not None, figure.target) for figure in figures} == {
        "emails by one worker, beside a bare loop, 32 at once": (True, 0.7),
        "from due to the provider's call, p50": (False, 0.5),
        "from due to the provider's call, p95": (False, 2.0),
        "a campaign of 60,000 emails simulated": (False, 60.0),
        "days that it takes": (False, 60),
        "of 8 emails of the engine, sent at another time than simulated": (False, 0),
    }
    assert figures[-1].value == 0
    assert all(figure.value > 0 for figure in figures[:-1])
