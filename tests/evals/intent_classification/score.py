"""Scores the classification of labelled replies by label and language, and counts lost replies."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ai.models import ModelAccess
from ai.registry import INTENT_CLASSIFICATION
from ai.run import RunContext, run
from ai.workflows.intent_classification.state import Intent, IntentOutput
from tests.evals.intent_classification.replies import FOLDER, LabelledReply

BASELINE = FOLDER / "baseline.json"
AUTOMATIC_LABELS = frozenset({Intent.OUT_OF_OFFICE, Intent.BOUNCE, Intent.OTHER})
SOMETIMES_AUTOMATIC_LABELS = frozenset({Intent.WRONG_PERSON, Intent.REFERRAL})  # such as "Anna has left, ask Ben"
CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class ReplyResult:
    """A labelled reply and the output of the workflow."""

    reply: LabelledReply
    output: IntentOutput

    @property
    def is_right(self) -> bool:
        """Whether the output has a label of the reply; the label of an abstention counts too."""
        return self.output.label in self.reply.labels

    @property
    def is_personal(self) -> bool:
        """Whether only a person writes such a reply, so that a user must see it."""
        return not self.reply.labels & AUTOMATIC_LABELS

    @property
    def is_lost(self) -> bool:
        """Whether a personal reply is wrongly classified as automatic or as an unsubscribe."""
        hiding_labels = {Intent.OUT_OF_OFFICE, Intent.BOUNCE, Intent.UNSUBSCRIBE} - self.reply.labels
        is_marked_automatic = self.output.is_automatic and not self.reply.labels & SOMETIMES_AUTOMATIC_LABELS
        return self.is_personal and (self.output.label in hiding_labels or is_marked_automatic)

    @property
    def has_right_date(self) -> bool:
        """Whether the return date, or None, is as labelled."""
        return self.output.return_date == self.reply.return_date

    def __str__(self) -> str:
        expected = " or ".join(sorted(self.reply.labels))
        actual = f"{self.output.label} ({self.output.confidence:.0%}, {self.output.decided_by})"
        dates = "" if self.has_right_date else f"; back {self.output.return_date} instead of {self.reply.return_date}"
        lost = "; LOST" if self.is_lost else ""
        return f"{self.reply.half}, {self.reply.name}: {actual} instead of {expected}{dates}{lost}"


def classify_replies(replies: Sequence[LabelledReply], models: ModelAccess | None = None) -> list[ReplyResult]:
    """Classify replies by rules, and with the model if there is one."""
    return asyncio.run(_classify_replies(replies, models))


async def _classify_replies(replies: Sequence[LabelledReply], models: ModelAccess | None) -> list[ReplyResult]:
    context, semaphore = RunContext(workspace_id="eval", models=models), asyncio.Semaphore(CONCURRENCY)

    async def classify(reply: LabelledReply) -> ReplyResult:
        async with semaphore:
            return ReplyResult(reply, await run(INTENT_CLASSIFICATION, reply.material, context=context))

    try:
        return list(await asyncio.gather(*(classify(reply) for reply in replies)))
    finally:
        if models:
            await models.close()


def compute_share(results: Sequence[ReplyResult]) -> float:
    """Return the share (0 to 1) of right results."""
    return sum(result.is_right for result in results) / len(results)


def compute_recall(intent: Intent, results: Sequence[ReplyResult]) -> float:
    """Return the share (0 to 1) of right results of the replies whose only label is `intent`."""
    return compute_share([result for result in results if result.reply.labels == {intent}])


def count_right(results: Sequence[ReplyResult]) -> dict[str, list[int]]:
    """Return the numbers of right and of all results by half and language, label, return date and lost replies."""
    scores: dict[str, list[int]] = {}

    def count(name: str, *, is_right: bool) -> None:
        score = scores.setdefault(name, [0, 0])
        score[0] += is_right
        score[1] += 1

    for result in results:
        half, reply = result.reply.half, result.reply
        count(f"{half}/language {reply.language}", is_right=result.is_right)
        count(f"{half}/label {' or '.join(sorted(reply.labels))}", is_right=result.is_right)
        if Intent.OUT_OF_OFFICE in reply.labels:
            count(f"{half}/days of return", is_right=result.has_right_date)
        if result.is_personal:
            count(f"{half}/replies of people kept", is_right=not result.is_lost)
    return scores
