import pytest

from benchmarks.webhook_intake import SHAPES, Volume, measure_intake
from database.roles import owner_url
from salesmatter.stack import Database


def test_the_benchmark_measures_the_intake(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every shape is posted to the API, nothing is lost, and one worker applies all stored events."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path_factory.mktemp("home")))
    url = owner_url(postgres_url)
    sentences: list[str] = []

    figures = {
        figure.figure: figure for figure in measure_intake(Database(url, url), Volume(40, 1, 0.2), sentences.append)
    }

    for records in SHAPES:
        label = f"intake, {records} record{'s' if records > 1 else ''} a call"
        intake, comparison = figures[label], figures[f"{label}, beside a bare insert"]
        assert (intake.target, comparison.target) == (5_000, 0.5)
        assert intake.value == comparison.value > 0
        assert comparison.baseline
        assert figures[f"{label}: calls stored together"].value >= 1
        assert figures[f"{label}: calls answered and not stored"].value == 0
    assert figures["events applied by one worker"].value > 0
    assert len(sentences) == len(SHAPES) + 1
