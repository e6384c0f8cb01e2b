"""Prints how the checks score: `python -m tests.evals.email_generation [--half tuned] [--model] [--write-baseline]`."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from ai.errors import AiError
from ai.models import model_access
from ai.settings import AiSettings
from tests.evals.baseline import write_baseline
from tests.evals.email_generation.cases import HALVES, cases
from tests.evals.email_generation.model import first_attempts
from tests.evals.email_generation.score import BASELINE, Judged, by_file, judge, scores


def table(title: str, counted: Mapping[str, Sequence[int]]) -> Table:
    """Return the shares of cases that are right, by group."""
    shown = Table("", "cases", "right", "share", title=title, title_justify="left")
    for name, (right, of) in sorted(counted.items()):
        shown.add_row(name, str(of), str(right), f"{right / of:.1%}")
    return shown


def print_scores(console: Console, judged: Sequence[Judged]) -> None:
    """Print the scores by half, label and language, and each case that is wrong."""
    sort = {True: "sound, passed", False: "faulty, refused"}
    console.print(table("By half", scores(judged, lambda one: f"{one.case.half} {sort[one.case.is_good]}")))
    console.print(table("By label", scores(judged, lambda one: one.case.label)))
    console.print(table("By language", scores(judged, lambda one: f"{one.case.language} {sort[one.case.is_good]}")))
    for one in judged:
        if not one.is_right:
            console.print(str(one), highlight=False, markup=False)


async def print_attempts(console: Console) -> None:
    """Have the configured model write for every request, and print whose first attempts pass, and why others do not."""
    models = model_access(AiSettings())
    if models is None:
        console.print("No model is configured: set OPENAI_API_KEY to have one write for the requests.")
        return
    try:
        attempts = await first_attempts(models)
    except AiError as error:
        console.print(f"The model gave no answer: {error}", markup=False)
        return
    finally:
        await models.close()
    passed = sum(not problems for problems in attempts.values())
    console.print(f"{passed} of {len(attempts)} first attempts pass the checks.")
    for name, problems in attempts.items():
        if problems:
            console.print(f"{name}: {' '.join(problems)}", highlight=False, markup=False)


def main() -> None:
    """Score all cases, or one half of them; with `--model` let the model write instead."""
    parser = argparse.ArgumentParser(prog="python -m tests.evals.email_generation")
    parser.add_argument("--half", choices=HALVES, help="only this half; never with --write-baseline")
    parser.add_argument("--model", action="store_true", help="count how often the model's first attempt passes")
    parser.add_argument("--write-baseline", action="store_true", help="make the scores the ones to be held")
    chosen = parser.parse_args()
    if chosen.half and chosen.write_baseline:
        parser.error("the baseline holds both halves")
    if chosen.model:
        asyncio.run(print_attempts(Console()))
        return
    judged = judge([case for case in cases() if chosen.half in {None, case.half}])
    print_scores(Console(), judged)
    if chosen.write_baseline:
        write_baseline(BASELINE, by_file(judged))
        Console().print(f"Baseline written: {len(by_file(judged))} scores.")


if __name__ == "__main__":
    main()
