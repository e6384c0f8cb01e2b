import time

import pytest

from email_text.subjects import has_reply_prefix, strip_reply_prefixes


@pytest.mark.parametrize(
    ("subject", "rest"),
    [
        ("Re: Engines", "Engines"),
        ("RE:Engines", "Engines"),
        ("  re : Engines", "Engines"),
        ("Re[2]: Engines", "Engines"),
        ("Re: AW: Fwd: Engines", "Engines"),
        ("Fw: WG: Engines", "Engines"),
        ("Antw: Antwort: Antwoord: Engines", "Engines"),
        ("SV: VS: TR: Réponse: Engines", "Engines"),
        ("RV: RES: ENC: Engines", "Engines"),
        ("Re\uff1aEngines", "Engines"),
        ("[EXTERNAL] Re: Engines", "Engines"),
        ("Re:", ""),
    ],
)
def test_a_reply_prefix_is_removed(subject: str, rest: str) -> None:
    """Prefixes of replies and forwarded messages are recognized in several languages, and all of them are removed."""
    assert has_reply_prefix(subject)
    assert strip_reply_prefixes(subject) == rest


@pytest.mark.parametrize(
    "subject", ["", "Engines", "Fire: sale", "Engines re: sale", "Re Engines", "[EXTERNAL] Engines", "Research: x"]
)
def test_another_subject_stays(subject: str) -> None:
    """A word that ends like a prefix, a prefix later in the subject, and one without a colon are not removed."""
    assert not has_reply_prefix(subject)
    assert strip_reply_prefixes(subject) == subject


@pytest.mark.parametrize("piece", [" ", "[", "[x]", "re:", "re: ", "re [1"])
def test_hostile_subjects_take_linear_time(piece: str) -> None:
    """A long subject of any repeated piece is read at once."""
    subject = piece * 100_000
    started = time.perf_counter()
    strip_reply_prefixes(subject)
    assert time.perf_counter() - started < 1
