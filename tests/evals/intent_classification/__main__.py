"""Prints the scores of the labelled replies.

`python -m tests.evals.intent_classification [--half tuned] [--model] [--write-baseline]`
"""

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ai.models import create_model_access
from ai.settings import AiSettings
from ai.workflows.intent_classification.state import Intent
from tests.evals.baseline import write_baseline
from tests.evals.intent_classification.replies import HALVES, load_replies
from tests.evals.intent_classification.score import (
    BASELINE,
    ReplyResult,
    classify_replies,
    compute_recall,
    compute_share,
    count_right,
)


def build_score_table(results: Sequence[ReplyResult]) -> Table:
    """Return a table with the scores of the baseline and the total of each half."""
    table = Table("", "right", "of", "share", title="Scores", title_justify="left")
    for half in sorted({result.reply.half for result in results}):
        group = [result for result in results if result.reply.half == half]
        right = sum(result.is_right for result in group)
        table.add_row(f"{half}/all", str(right), str(len(group)), f"{compute_share(group):.1%}")
        for name, (right, count) in sorted(count_right(group).items()):
            table.add_row(name, str(right), str(count), f"{right / count:.1%}")
    return table


def build_confusion_table(results: Sequence[ReplyResult]) -> Table:
    """Return a table with the number of results per expected and actual label."""
    table = Table("expected", *(intent.value[:8] for intent in Intent), title="Actual label", title_justify="left")
    for labels in sorted({" or ".join(sorted(result.reply.labels)) for result in results}):
        group = [result for result in results if " or ".join(sorted(result.reply.labels)) == labels]
        counts = [sum(result.output.label is intent for result in group) for intent in Intent]
        table.add_row(labels, *(str(count or "·") for count in counts))
    return table


def print_scores(console: Console, results: Sequence[ReplyResult]) -> None:
    """Print the scores, the confusion table, and the numbers of reviews, lost replies and model calls."""
    console.print(build_score_table(results))
    console.print(build_confusion_table(results))
    for intent in (Intent.UNSUBSCRIBE, Intent.OUT_OF_OFFICE):
        console.print(f"Recall of {intent}: {compute_recall(intent, results):.1%}")
    for_review = [result for result in results if result.output.abstained]
    console.print(
        f"For review: {len(for_review)}, of which {sum(result.is_right for result in for_review)} have the right "
        f"label; lost: {sum(result.is_lost for result in results)}"
    )
    tokens = sum(result.output.generation.tokens_in + result.output.generation.tokens_out for result in results)
    by_model = sum(result.output.decided_by == "model" for result in results)
    console.print(f"Decided by a model: {by_model}, for {tokens} tokens")


def main() -> None:
    """Score all replies or one half of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.evals.intent_classification")
    parser.add_argument("--half", choices=HALVES, help="score only this half; not with --write-baseline")
    parser.add_argument(
        "--model", action="store_true", help="call the model of OPENAI_* for replies that the rules cannot label"
    )
    parser.add_argument("--no-errors", action="store_true", help="print only the scores, not the wrong replies")
    parser.add_argument("--write-baseline", action="store_true", help="store the scores as the baseline")
    arguments = parser.parse_args()
    if arguments.write_baseline and (arguments.half or arguments.model):
        parser.error("the baseline has both halves and is without a model: remove --half and --model")
    console = Console(width=160)
    models = create_model_access(AiSettings()) if arguments.model else None
    if arguments.model and models is None:
        console.print("No model is configured. Set OPENAI_API_KEY.")
        return
    replies = [reply for reply in load_replies() if arguments.half in {None, reply.half}]
    results = classify_replies(replies, models)
    print_scores(console, results)
    if not arguments.no_errors:
        for result in results:
            if not (result.is_right and result.has_right_date):
                console.print(str(result), highlight=False, markup=False)
    if arguments.write_baseline:
        write_baseline(BASELINE, count_right(results))
        console.print(f"Baseline written: {len(results)} replies.")


if __name__ == "__main__":
    main()
