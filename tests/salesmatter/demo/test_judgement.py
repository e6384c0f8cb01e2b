import pytest

from salesmatter.demo.judgement import Happening, count


def figures(*happenings: Happening) -> set[str]:
    """What one message counts for."""
    return {name for name, value in count({"message": happenings}).items() if value}


@pytest.mark.parametrize(
    ("happenings", "counted"),
    [
        ([], {"sent"}),
        ([Happening("delivered", 1)], {"sent", "delivered"}),
        ([Happening("opened", 1)], {"sent", "delivered", "opened"}),
        ([Happening("delivered", 1), Happening("bounced", 2)], {"sent", "bounced"}),
        ([Happening("bounced", 1, is_soft=True), Happening("delivered", 2)], {"sent", "delivered"}),
        ([Happening("delivered", 1), Happening("bounced", 2, is_soft=True)], {"sent", "bounced"}),
        ([Happening("delivered", 2), Happening("bounced", 2, is_soft=True)], {"sent", "bounced"}),
        ([Happening("delivered", 3), Happening("bounced", 2, is_soft=True)], {"sent", "delivered"}),
        ([Happening("bounced", 2, is_soft=True)], {"sent", "bounced"}),
        ([Happening("bounced", 1, is_soft=True), Happening("bounced", 9)], {"sent", "bounced"}),
        ([Happening("complained", 1)], {"sent"}),
        ([Happening("clicked", 1)], {"sent", "delivered", "clicked"}),
        ([Happening("bounced", 1), Happening("opened", 2)], {"sent", "bounced"}),
        ([Happening("replied", 1), Happening("unsubscribed", 2)], {"sent", "delivered", "replied", "unsubscribed"}),
    ],
)
def test_a_message_counts_for_what_became_of_it(happenings: list[Happening], counted: set[str]) -> None:
    """A hard bounce is final, a later sign of arrival overtakes a soft one, and any such sign proves delivery.

    A sign of arrival at the very moment of a soft bounce does not overtake it.
    """
    assert figures(*happenings) == counted


def test_each_message_counts_once() -> None:
    """Two opens of one message are one opened message."""
    opens = [Happening("opened", 1), Happening("opened", 2)]

    assert count({"a": opens, "b": opens})["opened"] == 2
