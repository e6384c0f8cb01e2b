import pytest

from salesmatter.demo.message_counts import MessageEvent, count_messages


def count_one(*events: MessageEvent) -> set[str]:
    """Return the figures that one message counts for."""
    return {name for name, value in count_messages({"message": events}).items() if value}


@pytest.mark.parametrize(
    ("events", "figures"),
    [
        ([], {"sent"}),
        ([MessageEvent("delivered", 1)], {"sent", "delivered"}),
        ([MessageEvent("opened", 1)], {"sent", "delivered", "opened"}),
        ([MessageEvent("delivered", 1), MessageEvent("bounced", 2)], {"sent", "bounced"}),
        ([MessageEvent("bounced", 1, is_soft=True), MessageEvent("delivered", 2)], {"sent", "delivered"}),
        ([MessageEvent("delivered", 1), MessageEvent("bounced", 2, is_soft=True)], {"sent", "bounced"}),
        ([MessageEvent("delivered", 2), MessageEvent("bounced", 2, is_soft=True)], {"sent", "bounced"}),
        ([MessageEvent("delivered", 3), MessageEvent("bounced", 2, is_soft=True)], {"sent", "delivered"}),
        ([MessageEvent("bounced", 2, is_soft=True)], {"sent", "bounced"}),
        ([MessageEvent("bounced", 1, is_soft=True), MessageEvent("bounced", 9)], {"sent", "bounced"}),
        ([MessageEvent("complained", 1)], {"sent"}),
        ([MessageEvent("clicked", 1)], {"sent", "delivered", "clicked"}),
        ([MessageEvent("bounced", 1), MessageEvent("opened", 2)], {"sent", "bounced"}),
        (
            [MessageEvent("replied", 1), MessageEvent("unsubscribed", 2)],
            {"sent", "delivered", "replied", "unsubscribed"},
        ),
    ],
)
def test_the_figures_of_a_message_follow_from_its_events(events: list[MessageEvent], figures: set[str]) -> None:
    """A hard bounce is final, a later proof of delivery cancels a soft bounce, and any such event proves delivery.

    A proof of delivery at the same time as a soft bounce does not cancel it.
    """
    assert count_one(*events) == figures


def test_each_message_counts_once() -> None:
    """Two opens of one message are one opened message."""
    opens = [MessageEvent("opened", 1), MessageEvent("opened", 2)]

    assert count_messages({"a": opens, "b": opens})["opened"] == 2
