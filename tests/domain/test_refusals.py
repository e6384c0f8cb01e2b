import pytest

from domain.refusals import find_repeated_refusal

SIZE = "The attachment is too large."


@pytest.mark.parametrize(
    ("errors", "is_paused"),
    [
        ([], False),
        ([SIZE] * 2, False),
        ([SIZE] * 3, True),
        ([SIZE] * 4, True),
        ([SIZE, SIZE, None], False),
        ([None, SIZE, SIZE, SIZE], False),
        ([SIZE, SIZE, SIZE, None], True),
        ([SIZE, "The subject is missing.", SIZE], False),
        (
            [
                "Mail 1 to <ada@x.example> is too large.",
                "Mail 22 to bo@y.example is too large.",
                "Mail 3 to c@z is too large.",
            ],
            True,
        ),
    ],
)
def test_three_equal_refusals_in_a_row_pause(errors: list[str | None], *, is_paused: bool) -> None:
    """The last three mails decide: all refused, for reasons that differ at most in addresses and numbers."""
    assert (find_repeated_refusal(errors) is not None) is is_paused


def test_the_reason_has_the_providers_sentence() -> None:
    """The reason of the pause contains the refusal, without the address."""
    assert find_repeated_refusal(["Refused: ada@x.example"] * 3) == "Everlytic refused the last 3 mails: Refused: …"
