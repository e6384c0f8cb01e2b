import pytest

from benchmarks.webhook_intake import SHAPES, Volume, measured
from database.roles import owner_url
from salesmatter.stack import Database


def test_it_measures_the_intake_as_it_is(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every shape is pushed to the real API, nothing is lost, and one worker makes events of all that was stored."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path_factory.mktemp("home")))
    url = owner_url(postgres_url)
    said: list[str] = []

    figures = {one.figure: one for one in measured(Database(url, url), Volume(40, 1, 0.2), said.append)}

    for records in SHAPES:
        called = f"intake, {records} record{'s' if records > 1 else ''} a call"
        taken, beside = figures[called], figures[f"{called}, beside a bare insert"]
        assert (taken.target, beside.target) == (5_000, 0.5)
        assert taken.value == beside.value > 0
        assert beside.baseline
        assert figures[f"{called}: calls stored together"].value >= 1
        assert figures[f"{called}: calls answered and not stored"].value == 0
    assert figures["events applied by one worker"].value > 0
    assert len(said) == len(SHAPES) + 1
