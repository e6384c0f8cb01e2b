# ruff: noqa: RUF001 - Headers in many alphabets.
import pytest

from email_text.forwards import find_colleague

NOTE = "Please see below.\n\n{divider}\n{head}\n\nPlease take me off your list.\nMia"


@pytest.mark.parametrize(
    ("divider", "head"),
    [
        ("---------- Forwarded message ---------", "From: Mia <mia@lager.example>\nTo: <office@lager.example>"),
        ("---------- Forwarded message ---------", "Fra: Mia <mia@lager.example>\nEmne: reklamer"),
        ("-------- Weitergeleitete Nachricht --------", "Betreff: Werbung\nVon: Mia <Mia@Lager.example>"),
        ("-------- Mensaje reenviado --------", "De: mia@lager.example"),
        ("---------- 转发的邮件 ----------", "发件人：Mia <mia@lager.example>"),
    ],
)
def test_a_note_that_a_colleague_forwards(divider: str, head: str) -> None:
    """The author and the words of a forwarded note are found, whatever the languages of divider and header."""
    forwarded = find_colleague(NOTE.format(divider=divider, head=head), "office@lager.example")
    assert forwarded is not None
    assert (forwarded.author, forwarded.text) == ("mia@lager.example", "Please take me off your list.\nMia")


@pytest.mark.parametrize(
    ("text", "sender"),
    [
        ("Please take me off your list.", "office@lager.example"),
        (NOTE.format(divider="--- Forwarded message ---", head="From: news@shop.example"), "office@lager.example"),
        (NOTE.format(divider="--- Forwarded message ---", head="From: Mia"), "office@lager.example"),
        (NOTE.format(divider="--- Forwarded message ---", head="From: mia@lager.example"), ""),
    ],
)
def test_what_is_no_note_of_a_colleague(text: str, sender: str) -> None:
    """A newsletter of another company, and a note without an address, are no words of a colleague."""
    assert find_colleague(text, sender) is None


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["- ", "---- forward ", "----\n", "From: a@x.example\n", "--- forwarded\nA:\n"])
def test_hostile_repetitions_take_little_time(text: str) -> None:
    """Dividers and headers, repeated up to the limit, do not make the search slow."""
    find_colleague(text * 20_000, "a@x.example")
