import pytest

from benchmarks.figures import Figure, Report

KEYS = ["figure", "value", "unit", "baseline", "ratio", "target", "ok"]


@pytest.mark.parametrize(
    ("figure", "ok"),
    [
        (Figure("plain", 5.0, "ms"), True),
        (Figure("at the limit", 3.0, "ms", 1.0, at_most=3.0), True),
        (Figure("over it", 3.1, "ms", 1.0, at_most=3.0), False),
        (Figure("fast enough", 120.0, "/s", at_least=100.0), True),
        (Figure("just fast enough", 100.0, "/s", at_least=100.0), True),
        (Figure("too slow", 99.9, "/s", at_least=100.0), False),
        (Figure("as long as it may", 3.0, "ms", at_most=3.0), True),
        (Figure("too long", 3.01, "ms", at_most=3.0), False),
        (Figure("half as fast", 50.0, "/s", 100.0, at_least=0.9), False),
        (Figure("large beside a larger one", 300.0, "ms", 200.0, at_most=3.0), True),
    ],
    ids=lambda given: given.figure if isinstance(given, Figure) else "",
)
def test_a_target_applies_to_the_ratio_or_the_value(figure: Figure, ok: bool) -> None:
    """The target applies to the ratio of a figure with a baseline, otherwise to the value; no target means ok."""
    assert figure.ok is ok


def test_a_figure_in_json() -> None:
    """A figure has the documented fields in order, rounded to significant digits."""
    data = Figure("list", 2.34567, "ms", 0.912345, at_most=3.0).as_json()

    assert list(data) == KEYS
    assert data == {
        "figure": "list",
        "value": 2.346,
        "unit": "ms",
        "baseline": 0.9123,
        "ratio": 2.571,
        "target": 3.0,
        "ok": True,
    }


def test_a_missing_baseline_or_target_is_null() -> None:
    """A figure without baseline and target has these fields with null."""
    data = Figure("create", 8.0, "ms").as_json()

    assert list(data) == KEYS
    assert (data["baseline"], data["ratio"], data["target"], data["ok"]) == (None, None, None, True)


def test_one_missed_target_fails_a_report() -> None:
    """A report is ok only when all of its figures are."""
    good, bad = Figure("good", 1.0, "ms", at_most=2.0), Figure("bad", 3.0, "ms", at_most=2.0)

    assert Report("x", "small", [good]).ok
    assert not Report("x", "small", [good, bad]).ok
    assert Report("x", "full", [bad]).as_json() == {"bench": "x", "size": "full", "figures": [bad.as_json()]}
