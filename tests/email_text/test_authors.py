import pytest

from email_text.authors import read_sender

OWN = {"sales@acme.example"}
ANNA = "anna@kunde.example"
GROUP = ("From", "'Anna Meyer' via Sales <sales@acme.example>")


@pytest.mark.parametrize(
    ("headers", "author"),
    [
        ([GROUP, ("X-Original-From", f"Anna <{ANNA}>")], ANNA),
        ([GROUP, ("X-Original-Sender", ANNA)], ANNA),
        ([GROUP, ("Reply-To", f"Anna <{ANNA}>")], ANNA),
        ([GROUP, ("Reply-To", f"sales@acme.example, Anna <{ANNA}>")], ANNA),
        ([GROUP], "sales@acme.example"),
        ([("From", "Sales <sales@acme.example>"), ("Reply-To", ANNA)], ANNA),
        (
            [("From", "Anna via List <list@lists.example>"), ("List-Id", "<list.lists.example>"), ("Reply-To", ANNA)],
            ANNA,
        ),
        ([("From", "Anna via List <list@lists.example>"), ("List-Post", "<mailto:list@lists.example>")], None),
        (
            [
                ("From", "Anna via groups <anna=kunde.example@groups.example>"),
                ("List-Id", "<x.groups.example>"),
                ("Reply-To", "x@groups.example"),
            ],
            ANNA,
        ),
        ([("From", f"Anna <{ANNA}>"), ("Reply-To", "assistant@kunde.example")], ANNA),
        ([("From", f"Anna <{ANNA}>"), ("List-Id", "<sales.acme.example>"), ("Reply-To", "sales@acme.example")], ANNA),
        ([("Sender", ANNA)], ANNA),
        ([("From", "MAILER-DAEMON"), ("Return-Path", "<>"), ("Reply-To", ANNA)], ANNA),
    ],
)
def test_the_author_behind_a_group(headers: list[tuple[str, str]], author: str | None) -> None:
    """The author is named by other headers if From has the address of a group, and by From otherwise."""
    sender = read_sender(headers)
    assert sender is not None
    assert sender.find_author(lambda address: address in OWN) == (author or sender.address)


def test_no_sender() -> None:
    """Without an address in any header there is no sender."""
    assert read_sender([("From", "MAILER-DAEMON"), ("Subject", ANNA)]) is None
