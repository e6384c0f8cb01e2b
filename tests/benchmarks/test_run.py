import json
import re

import pytest
from typer.testing import CliRunner

from benchmarks.figures import Figure
from benchmarks.progress import Progress
from benchmarks.registry import BENCHES, Bench
from benchmarks.run import measure_and_print
from benchmarks.sizes import Size
from salesmatter.cli import commands

MET, MISSED = Figure("met", 1.5, "ms", 1.0, at_most=2.0), Figure("missed", 150.0, "/s", at_least=200.0)


def make_bench(*figures: Figure) -> Bench:
    """Return a benchmark with these figures."""

    def run(size: Size, progress: Progress) -> list[Figure]:
        progress(f"Measuring {size}.")
        return list(figures)

    return Bench("nothing at all", run)


@pytest.mark.parametrize(("figures", "status"), [((MET,), 0), ((MET, MISSED), 1), ((), 0)])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_missed_target_ends_with_1(figures: tuple[Figure, ...], status: int, as_json: bool) -> None:
    """The exit status says whether all targets are met, in both formats."""
    assert measure_and_print("fake", make_bench(*figures), "small", as_json=as_json) == status


def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output contains only the JSON; the progress goes to standard error."""
    measure_and_print("fake", make_bench(MET, MISSED), "full", as_json=True)

    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"bench": "fake", "size": "full", "figures": [MET.as_json(), MISSED.as_json()]}
    assert "Measuring full." in printed.err


def test_the_table_shows_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has value, baseline, ratio, target and result, and the load of the machine."""
    measure_and_print("fake", make_bench(MET, MISSED), "small", as_json=False)

    table = capsys.readouterr().out
    assert "fake, small: nothing at all" in table
    assert re.search(r"met +│ +1\.5 ms │ +1 ms │ +1\.50 │ +≤ 2 │ +ok ", table)
    assert re.search(r"missed +│ +150 /s │ +│ +│ +≥ 200 │ +missed ", table)
    assert re.search(r"\d+ processors, load \d", table)


def test_an_unknown_name_lists_the_known_ones() -> None:
    """An unknown name is wrong usage, and the error lists the benchmarks."""
    result = CliRunner().invoke(commands, ["bench", "nonsense"], env={"COLUMNS": "200"})

    assert result.exit_code == 2
    assert f"Unknown benchmark 'nonsense'. Choose from: {', '.join(BENCHES)}." in result.output


def test_an_unknown_size_is_wrong_usage() -> None:
    """An unknown size is wrong usage."""
    result = CliRunner().invoke(commands, ["bench", "api", "--size", "huge"], env={"COLUMNS": "200"})

    assert result.exit_code == 2
    assert "'huge' is not one of 'small', 'full'" in result.output
