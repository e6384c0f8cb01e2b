import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_text.quotes import MAX_LINE_CHARACTERS, MAX_LINES, extract_reply

ATTRIBUTIONS = [
    "On Fri, 20 Nov 2026 at 08:00, Kim Roe <kim@x.example> wrote:",
    "On Fri, Nov 20, 2026 at 8:00 AM Kim Roe of the Engines Department\n<kim.roe@a-rather-long-domain.example> wrote:",
    "Am Fr., 20. Nov. 2026 um 08:00 Uhr schrieb Kim Roe <kim@x.example>:",
    "Am Fr., 20. Nov. 2026 um 08:00 Uhr schrieb Kim Roe <\nkim@x.example>:",
    "Le ven. 20 nov. 2026 à 08:00, Kim Roe <kim@x.example> a écrit\xa0:",
    "Op vr 20 nov 2026 om 08:00 schreef Kim Roe <kim@x.example>:",
    "Op Vr. 20 Nov. 2026 om 08:00 het Kim Roe <kim@x.example> geskryf:",
    "Op Vr. 20 Nov. 2026 om 08:00 skryf Kim Roe <kim@x.example>:",
    "El vie, 20 nov 2026 a las 8:00, Kim Roe (<kim@x.example>) escribió:",
    "Em sex., 20 de nov. de 2026 às 08:00, Kim Roe <kim@x.example> escreveu:",
    "Il giorno ven 20 nov 2026 alle ore 08:00 Kim Roe <kim@x.example> ha scritto:",
    "-----Original Message-----",
    "-----Ursprüngliche Nachricht-----",
    "-------- Original-Nachricht --------",
    "-----Message d'origine-----",
    "---------- Message transféré ----------",
    "-----Oorspronkelijk bericht-----",
    "-----Oorspronklike boodskap-----",
    "-----Mensaje original-----",
    "-----Mensagem original-----",
    "Begin forwarded message:",
    "________________________________\nFrom: Kim Roe <kim@x.example>\nSent: today",
]
OUTLOOK = [
    ("From", "Sent", "To"),
    ("*From", "*Sent", "*To"),
    ("Von", "Gesendet", "An"),
    ("De ", "Envoyé ", "À "),
    ("Van", "Verzonden", "Aan"),
    ("Van", "Gestuur", "Aan"),
    ("De", "Enviado el", "Para"),
    ("De", "Enviado", "Para"),
]
FOOTERS = [
    "-- \nAda Byron\nEngines Ltd",
    "Kind regards\nAda Byron\nEngines Ltd",
    "Mit freundlichen Grüßen\nAda Byron",
    "Bien cordialement,\nAda Byron",
    "Vriendelike groete\nAda Byron",
    "Sent from my iPhone",
    "Get Outlook for Android",
    "Von meinem iPhone gesendet",
    "Gesendet mit der Mail App meines Telefons",
    "Envoyé depuis mon Galaxy",
    "Gestuur vanaf my iPhone",
    "Verzonden vanaf mijn iPad",
    "Enviado do meu iPhone",
    "This e-mail is confidential. If you are not the intended recipient please delete it.",
    "Diese E-Mail ist vertraulich. Sind Sie nicht der richtige Adressat, löschen Sie diese Nachricht.",
    "Hierdie e-pos is vertroulik. Indien u nie die bedoelde ontvanger is nie, skrap dit asseblief.",
]


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_quoted_messages_are_removed(attribution: str) -> None:
    """Attributions and dividers of email clients in seven languages begin a quoted message."""
    assert extract_reply(f"Yes, go on.\n\n{attribution}\n\n> old\n> older") == "Yes, go on."
    assert extract_reply(f"Yes, go on.\r\n\r\n{attribution}\r\nold").splitlines() == ["Yes, go on."]


@pytest.mark.parametrize(("sender", "day", "to"), OUTLOOK)
def test_outlooks_header_block_begins_a_quote(sender: str, day: str, to: str) -> None:
    """Outlook begins a quote only with the headers of the quoted message."""
    block = f"{sender}: Kim Roe <kim@x.example>\n{day}: 20 November 2026 08:00\n{to}: Ada"
    assert extract_reply(f"Yes, go on.\n\n{block}\n\nold") == "Yes, go on."


@pytest.mark.parametrize("footer", FOOTERS)
def test_signatures_and_disclaimers_are_removed(footer: str) -> None:
    """Signatures, footers of phones and disclaimers are not part of the reply."""
    assert extract_reply(f"Yes, go on.\n\n{footer}") == "Yes, go on."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("On 20 Nov Kim wrote:\n> Do you want it?\nYes.\n> When?\nMonday.", "Yes.\nMonday."),
        ("> Do you want it?\nYes.\n> When?\nMonday.", "Yes.\nMonday."),
        ("On Fri, 20 Nov 2026, Kim <k@x.example> wrote:\n> old\n\nYes.", "Yes."),
        ("On balance I agree.\nIt was well written.", "On balance I agree.\nIt was well written."),
        ("Two things:\n- one\n- two\nThanks,\nbut no.", "Two things:\n- one\n- two\nThanks,\nbut no."),
        ("Yes.\n\nKind regards\nAda\n\nPS: call me", "Yes.\n\nPS: call me"),
        ("This is confidential: message me, not my boss.", "This is confidential: message me, not my boss."),
        ("", ""),
    ],
)
def test_the_text_of_the_sender_is_kept(text: str, expected: str) -> None:
    """Answers between and below quoted lines, lists, postscripts and text that resembles a divider are kept."""
    assert extract_reply(text) == expected


def test_only_the_first_part_is_read() -> None:
    """Text beyond the limits is ignored, so a hostile message takes no longer than a long one."""
    line = "x" * MAX_LINE_CHARACTERS
    assert extract_reply(line + "y" * 100_000) == line
    lines = "\n".join(["x"] * MAX_LINES)
    assert extract_reply(lines + "\ny" * 100_000) == lines


PIECES = [
    "On ",
    "Am ",
    "Le ",
    " wrote:",
    "schrieb",
    " a écrit :",
    "\n",
    "\n\n",
    ">",
    "> > ",
    "From: x",
    "Sent: y",
    "--",
    " ",
]
PIECES += [
    "-----Original Message-----",
    "_" * 40,
    "Sent from my",
    "confidential mail",
    "Mit freundlichen Grüßen",
    "a",
    "\r",
    "\0",
]


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text(max_size=300))
def test_no_words_are_added(text: str) -> None:
    """Any text is parsed without an error, and the reply has only words of the text."""
    assert set(extract_reply(text).split()) <= set(text.replace("\xa0", " ").split())
