"""Prints the scores of the checks.

`python -m tests.evals.email_generation [--half tuned] [--model] [--write-baseline]`
"""

import argparse
import asyncio
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from ai.errors import AiError
from ai.models import create_model_access
from ai.settings import AiSettings
from tests.evals.baseline import write_baseline
from tests.evals.email_generation.cases import HALVES, load_cases
from tests.evals.email_generation.model import write_first_attempts
from tests.evals.email_generation.score import BASELINE, CaseResult, check_cases, count_right, score_files


def build_table(title: str, scores: Mapping[str, Sequence[int]]) -> Table:
    """Return a table with the share of right cases per group."""
    table = Table("", "cases", "right", "share", title=title, title_justify="left")
    for name, (right, total) in sorted(scores.items()):
        table.add_row(name, str(total), str(right), f"{right / total:.1%}")
    return table


def print_scores(console: Console, results: Sequence[CaseResult]) -> None:
    """Print the scores by half, label and language, and each wrong case."""
    kinds = {True: "good, passed", False: "faulty, rejected"}
    for title, group in (
        ("By half", lambda result: f"{result.case.half} {kinds[result.case.is_good]}"),
        ("By label", lambda result: result.case.label),
        ("By language", lambda result: f"{result.case.language} {kinds[result.case.is_good]}"),
    ):
        console.print(build_table(title, count_right(results, group)))
    for result in results:
        if not result.is_right:
            console.print(str(result), highlight=False, markup=False)


async def print_attempts(console: Console) -> None:
    """Call the configured model once for each request, and print which texts pass and the problems of the others."""
    models = create_model_access(AiSettings())
    if models is None:
        console.print("No model is configured. Set OPENAI_API_KEY.")
        return
    try:
        attempts = await write_first_attempts(models)
    except AiError as error:
        console.print(f"The model did not answer: {error}", markup=False)
        return
    finally:
        await models.close()
    passed = sum(not problems for problems in attempts.values())
    console.print(f"{passed} of {len(attempts)} first attempts pass the checks.")
    for name, problems in attempts.items():
        if problems:
            console.print(f"{name}: {' '.join(problems)}", highlight=False, markup=False)


def main() -> None:
    """Score all cases or one half of them; with `--model`, score texts of the configured model."""
    parser = argparse.ArgumentParser(prog="python -m tests.evals.email_generation")
    parser.add_argument("--half", choices=HALVES, help="score only this half; not with --write-baseline")
    parser.add_argument("--model", action="store_true", help="count how often the model's first attempt passes")
    parser.add_argument("--write-baseline", action="store_true", help="store the scores as the baseline")
    arguments = parser.parse_args()
    if arguments.half and arguments.write_baseline:
        parser.error("the baseline has both halves: remove --half")
    if arguments.model:
        asyncio.run(print_attempts(Console()))
        return
    results = check_cases([case for case in load_cases() if arguments.half in {None, case.half}])
    print_scores(Console(), results)
    if arguments.write_baseline:
        write_baseline(BASELINE, score_files(results))
        Console().print(f"Baseline written: {len(score_files(results))} scores.")


if __name__ == "__main__":
    main()
