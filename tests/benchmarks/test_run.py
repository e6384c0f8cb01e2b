import json
import re

import pytest
from typer.testing import CliRunner

from benchmarks.figures import Figure
from benchmarks.registry import BENCHES, Bench, Say, Size
from benchmarks.run import measure_and_print
from salesmatter.cli import commands

MET, MISSED = Figure("met", 1.5, "ms", 1.0, at_most=2.0), Figure("missed", 150.0, "/s", at_least=200.0)


def bench_of(*figures: Figure) -> Bench:
    """A bench that measures nothing, and finds these."""

    def run(size: Size, say: Say) -> list[Figure]:
        say(f"Measuring {size}.")
        return list(figures)

    return Bench("nothing at all", run)


@pytest.mark.parametrize(("figures", "status"), [((MET,), 0), ((MET, MISSED), 1), ((), 0)])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_missed_target_ends_with_1(figures: tuple[Figure, ...], status: int, as_json: bool) -> None:
    """A script learns from the exit status whether all targets are met, in either form."""
    assert measure_and_print("fake", bench_of(*figures), "small", as_json=as_json) == status


def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output can be read by a program as it is; what is said meanwhile is on standard error."""
    measure_and_print("fake", bench_of(MET, MISSED), "full", as_json=True)

    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"bench": "fake", "size": "full", "figures": [MET.as_json(), MISSED.as_json()]}
    assert "Measuring full." in printed.err


def test_the_table_shows_each_figure_with_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    """A person sees value, baseline, ratio, target and what became of it, and how busy the machine was."""
    measure_and_print("fake", bench_of(MET, MISSED), "small", as_json=False)

    table = capsys.readouterr().out
    assert "fake, small: nothing at all" in table
    assert re.search(r"met +│ +1\.5 ms │ +1 ms │ +1\.50 │ +≤ 2 │ +ok ", table)
    assert re.search(r"missed +│ +150 /s │ +│ +│ +≥ 200 │ +missed ", table)
    assert re.search(r"\d+ processors, load \d", table)


def test_an_unknown_name_lists_the_known_ones() -> None:
    """Who mistypes a name is told which there are, and that it was wrong usage."""
    result = CliRunner().invoke(commands, ["bench", "nonsense"], env={"COLUMNS": "200"})

    assert result.exit_code == 2
    assert f"There is no bench 'nonsense'; there is: {', '.join(BENCHES)}." in result.output


def test_an_unknown_size_is_wrong_usage() -> None:
    """Nothing is set up for a size that does not exist."""
    result = CliRunner().invoke(commands, ["bench", "api", "--size", "huge"], env={"COLUMNS": "200"})

    assert result.exit_code == 2
    assert "'huge' is not one of 'small', 'full'" in result.output
