import pytest

from benchmarks.drafting import Load, measure

TINY = {"template": Load(1, 0.2), "model": Load(1, 0.2)}


def test_the_benchmark_measures_drafts_with_and_without_langfuse(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four processes write drafts from the template and by a model, and each figure has its target."""
    monkeypatch.setenv("SALESMATTER_HOME", str(tmp_path_factory.mktemp("home")))

    figures = measure(TINY, lambda _sentence: None)

    rates = {figure.figure: figure.target for figure in figures if figure.unit == "/s"}
    assert rates == {
        "drafts from the template, Langfuse up, beside no traces": None,
        "drafts from the template, Langfuse slow, beside up": 0.9,
        "drafts from the template, Langfuse gone, beside up": 0.9,
        "drafts by a model, Langfuse up, beside no traces": 0.9,
        "drafts by a model, Langfuse slow, beside no traces": 0.9,
        "drafts by a model, Langfuse gone, beside no traces": 0.9,
    }
    assert {figure.figure: figure.target for figure in figures if figure.unit == "s"} == {
        "closing, Langfuse slow": 4.5,
        "closing, Langfuse gone": 4.5,
    }
    assert len([figure for figure in figures if figure.unit == "ms" and figure.baseline]) == 12
    assert all(figure.value > 0 for figure in figures)
