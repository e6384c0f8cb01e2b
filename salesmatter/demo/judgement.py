"""What became of messages, judged from what happened to each: the same judgement for every side that tells of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FIGURES = ("sent", "delivered", "bounced", "opened", "clicked", "replied", "unsubscribed")
ARRIVED = frozenset({"delivered", "opened", "clicked", "replied", "unsubscribed"})


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to a message: a type in our words, when (epoch seconds), and if a bounce was soft."""

    type: str
    at: float
    is_soft: bool = False


def count(messages: Mapping[str, Iterable[Happening]]) -> dict[str, int]:
    """Return the figures over messages, each of which was sent, with what happened to each.

    A message bounced when a bounce is the last word on it, or a hard one any word; it was delivered when it did not
    bounce and something shows that it arrived. Opened, clicked, replied and unsubscribed count delivered messages.
    """
    figures: Counter[str] = Counter(dict.fromkeys(FIGURES, 0))
    for happenings in messages.values():
        figures.update({"sent", *_became(list(happenings))})
    return dict(figures)


def _became(happenings: list[Happening]) -> set[str]:
    arrived = max((one.at for one in happenings if one.type in ARRIVED), default=None)
    hard = any(one.type == "bounced" and not one.is_soft for one in happenings)
    soft = max((one.at for one in happenings if one.type == "bounced" and one.is_soft), default=None)
    if hard or (soft is not None and (arrived is None or soft >= arrived)):
        return {"bounced"}
    if arrived is None:
        return set()
    return {"delivered"} | {one.type for one in happenings if one.type in ARRIVED}
