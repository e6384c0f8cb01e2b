"""Counts messages by their events, with the same rules for every source of events."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

FIGURES = ("sent", "delivered", "bounced", "opened", "clicked", "replied", "unsubscribed")
ARRIVAL_TYPES = frozenset({"delivered", "opened", "clicked", "replied", "unsubscribed"})


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """An event of a message: its type in our terms, its time in epoch seconds, and whether a bounce was soft."""

    type: str
    at: float
    is_soft: bool = False


def count_messages(messages: Mapping[str, Iterable[MessageEvent]]) -> dict[str, int]:
    """Return the figures over sent messages, given the events of each message.

    A message bounced if it has a hard bounce, or a soft bounce that no delivery followed. It was delivered if it did
    not bounce and an event proves its delivery. Opened, clicked, replied and unsubscribed count delivered messages.
    """
    figures: Counter[str] = Counter(dict.fromkeys(FIGURES, 0))
    for events in messages.values():
        figures.update({"sent", *_message_figures(list(events))})
    return dict(figures)


def _message_figures(events: list[MessageEvent]) -> set[str]:
    last_arrival = max((event.at for event in events if event.type in ARRIVAL_TYPES), default=None)
    has_hard_bounce = any(event.type == "bounced" and not event.is_soft for event in events)
    last_soft_bounce = max((event.at for event in events if event.type == "bounced" and event.is_soft), default=None)
    has_lasting_soft_bounce = last_soft_bounce is not None and (
        last_arrival is None or last_soft_bounce >= last_arrival
    )
    if has_hard_bounce or has_lasting_soft_bounce:
        return {"bounced"}
    if last_arrival is None:
        return set()
    return {"delivered"} | {event.type for event in events if event.type in ARRIVAL_TYPES}
