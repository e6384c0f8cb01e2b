"""Scores the reading of labelled replies: by label and language, and for what must not happen."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ai.models import ModelAccess
from ai.registry import INTENT_CLASSIFICATION
from ai.run import RunContext, run
from ai.workflows.intent_classification.state import Intent, IntentOutput
from tests.evals.intent_classification.replies import FOLDER, LabelledReply

BASELINE = FOLDER / "baseline.json"
BY_MACHINES = frozenset({Intent.OUT_OF_OFFICE, Intent.BOUNCE, Intent.OTHER})
ALSO_BY_MACHINES = frozenset({Intent.WRONG_PERSON, Intent.REFERRAL})  # "has left us, ask …" is often automatic
AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """One reply: what it may be taken for and what it was taken for."""

    reply: LabelledReply
    output: IntentOutput

    @property
    def is_right(self) -> bool:
        """Tell whether it got a label of its own; an abstention counts by the label it would have had."""
        return self.output.label in self.reply.labels

    @property
    def is_by_a_person(self) -> bool:
        """Tell whether nothing but a person writes such a reply, whom nobody may leave without an answer."""
        return not self.reply.labels & BY_MACHINES

    @property
    def is_lost(self) -> bool:
        """Tell whether a person's reply counts as a machine's, or as an unsubscribe that it is not."""
        silenced = {Intent.OUT_OF_OFFICE, Intent.BOUNCE, Intent.UNSUBSCRIBE} - self.reply.labels
        taken_for_a_machine = self.output.is_automatic and not self.reply.labels & ALSO_BY_MACHINES
        return self.is_by_a_person and (self.output.label in silenced or taken_for_a_machine)

    @property
    def has_right_day(self) -> bool:
        """Tell whether the day of return, or that there is none, is as labelled."""
        return self.output.return_date == self.reply.return_date

    def __str__(self) -> str:
        wanted = " or ".join(sorted(self.reply.labels))
        told = f"{self.output.label} ({self.output.confidence:.0%}, {self.output.decided_by})"
        days = "" if self.has_right_day else f"; back {self.output.return_date} instead of {self.reply.return_date}"
        return f"{self.reply.half}, {self.reply.name}: {told} for {wanted}{days}{'; LOST' if self.is_lost else ''}"


def judge(labelled: Sequence[LabelledReply], models: ModelAccess | None = None) -> list[Judged]:
    """Read replies, by rules alone unless a model is given."""
    return asyncio.run(_judge(labelled, models))


async def _judge(labelled: Sequence[LabelledReply], models: ModelAccess | None) -> list[Judged]:
    context, places = RunContext(workspace_id="eval", models=models), asyncio.Semaphore(AT_A_TIME)

    async def one(reply: LabelledReply) -> Judged:
        async with places:
            return Judged(reply, await run(INTENT_CLASSIFICATION, reply.material, context=context))

    try:
        return list(await asyncio.gather(*(one(reply) for reply in labelled)))
    finally:
        if models:
            await models.close()


def share(judged: Sequence[Judged], is_right: Callable[[Judged], bool] = lambda one: one.is_right) -> float:
    """Return which share (0 to 1) of the replies is right."""
    return sum(map(is_right, judged)) / len(judged)


def recall_of(intent: Intent, judged: Sequence[Judged]) -> float:
    """Return which share (0 to 1) of the replies that are nothing but `intent` was found to be it."""
    return share([one for one in judged if one.reply.labels == {intent}])


def scores(judged: Sequence[Judged]) -> dict[str, list[int]]:
    """Return how many are right, of how many: by half and language, half and label, days of return, replies kept."""
    counted: dict[str, list[int]] = {}

    def count(name: str, *, is_right: bool) -> None:
        score = counted.setdefault(name, [0, 0])
        score[0] += is_right
        score[1] += 1

    for one in judged:
        half, reply = one.reply.half, one.reply
        count(f"{half}/language {reply.language}", is_right=one.is_right)
        count(f"{half}/label {' or '.join(sorted(reply.labels))}", is_right=one.is_right)
        if Intent.OUT_OF_OFFICE in reply.labels:
            count(f"{half}/days of return", is_right=one.has_right_day)
        if one.is_by_a_person:
            count(f"{half}/replies of people kept", is_right=not one.is_lost)
    return counted
