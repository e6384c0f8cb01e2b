"""Prints the scores of the labelled replies.

`python -m tests.evals.intent_classification [--half tuned] [--model] [--write-baseline]`
"""

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ai.models import model_access
from ai.settings import AiSettings
from ai.workflows.intent_classification.state import Intent
from tests.evals.baseline import write_baseline
from tests.evals.intent_classification.replies import HALVES, replies
from tests.evals.intent_classification.score import BASELINE, Judged, judge, recall_of, scores, share


def score_table(judged: Sequence[Judged]) -> Table:
    """Return the scores as the baseline keeps them, and the total of each half."""
    shown = Table("", "right", "of", "share", title="Scores", title_justify="left")
    for half in sorted({one.reply.half for one in judged}):
        ones = [one for one in judged if one.reply.half == half]
        shown.add_row(f"{half}/all", str(sum(one.is_right for one in ones)), str(len(ones)), f"{share(ones):.1%}")
        for name, (right, count) in sorted(scores(ones).items()):
            shown.add_row(name, str(right), str(count), f"{right / count:.1%}")
    return shown


def confusion_table(judged: Sequence[Judged]) -> Table:
    """Return how often each label was taken for which."""
    shown = Table("labelled", *(intent.value[:8] for intent in Intent), title="Taken for", title_justify="left")
    for labels in sorted({" or ".join(sorted(one.reply.labels)) for one in judged}):
        ones = [one for one in judged if " or ".join(sorted(one.reply.labels)) == labels]
        counts = [sum(one.output.label is intent for one in ones) for intent in Intent]
        shown.add_row(labels, *(str(count or "·") for count in counts))
    return shown


def print_scores(console: Console, judged: Sequence[Judged]) -> None:
    """Print the scores, what was taken for what, who decided, and each reply that is wrong."""
    console.print(score_table(judged))
    console.print(confusion_table(judged))
    for intent in (Intent.UNSUBSCRIBE, Intent.OUT_OF_OFFICE):
        console.print(f"Recall of {intent}: {recall_of(intent, judged):.1%}")
    put_to_people = [one for one in judged if one.output.abstained]
    console.print(
        f"Put to a person: {len(put_to_people)}, of which {sum(one.is_right for one in put_to_people)} have the right "
        f"label; lost: {sum(one.is_lost for one in judged)}"
    )
    tokens = sum(one.output.generation.tokens_in + one.output.generation.tokens_out for one in judged)
    by_model = sum(one.output.decided_by == "model" for one in judged)
    console.print(f"Decided by a model: {by_model}, for {tokens} tokens")


def main() -> None:
    """Score all replies, or one half of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.evals.intent_classification")
    parser.add_argument("--half", choices=HALVES, help="only this half; never with --write-baseline")
    parser.add_argument("--model", action="store_true", help="ask the model of OPENAI_* where rules leave it open")
    parser.add_argument("--no-errors", action="store_true", help="print figures only, not what is wrong")
    parser.add_argument("--write-baseline", action="store_true", help="make the scores the ones to be held")
    chosen = parser.parse_args()
    if chosen.write_baseline and (chosen.half or chosen.model):
        parser.error("the baseline holds both halves, by rules alone")
    console = Console(width=160)
    models = model_access(AiSettings()) if chosen.model else None
    if chosen.model and models is None:
        console.print("No model was asked: OPENAI_API_KEY is not set.")
        return
    judged = judge([reply for reply in replies() if chosen.half in {None, reply.half}], models)
    print_scores(console, judged)
    if not chosen.no_errors:
        for one in judged:
            if not (one.is_right and one.has_right_day):
                console.print(str(one), highlight=False, markup=False)
    if chosen.write_baseline:
        write_baseline(BASELINE, scores(judged))
        console.print(f"Baseline written: {len(judged)} replies.")


if __name__ == "__main__":
    main()
