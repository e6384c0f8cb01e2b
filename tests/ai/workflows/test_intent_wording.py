import tomllib
from importlib.resources import files

import pytest

from ai.workflows.intent_classification.phrases import STRENGTHS, found, has, languages_of
from ai.workflows.intent_classification.state import Intent
from ai.workflows.intent_classification.wording import MAX_READ, compiled, words_of

WORDS = {"me": "(me|us)"}
CUES = {"keep", "automatic", "away", "human", "left", "receipt"}


@pytest.mark.parametrize(
    ("phrase", "text", "is_found"),
    [
        ("remove <me>", "Please remove\nus.", True),
        ("remove <me>", "removed us", False),
        ("remove <me>", "remove, me too", False),
        ("stop ..2 mails", "stop sending these mails", True),
        ("stop ..2 mails", "stop sending all of these mails", False),
        ("take … off", "take me and my boss off", True),
        ("take … off", "Take it. He is off", False),
        ("never & write & me", "to me you never write", True),
        ("never & write & me", "never mind, write me", False),
        ("don\u2019t", "dont", True),
        ("don\u2019t", "Don't", True),
        ("e-mail", "E-Mail", True),
        ("e-mail", "e mail", True),
        ("unsub*", "unsubscribing", True),
        ("an _ end", "an early end", True),
        ("désabonn*", "DESABONNER", True),
        ("bis 4 dezember", "bis 4. Dezember", True),
        ("write to <e-mail>", "write to ada.b@x.example", True),
        ("ask <name>", "ask Anna", True),
        ("ask <name>", "ask me", False),
    ],
)
def test_a_phrase_is_found_as_people_write_it(phrase: str, text: str, *, is_found: bool) -> None:
    """Case, accents, apostrophes, hyphens and line ends do not matter; the edges of words and clauses do."""
    assert (compiled([phrase], WORDS).search(words_of(text)) is not None) is is_found


@pytest.mark.parametrize("language", ["af", "de", "en", "es", "fr", "nl", "pt"])
def test_a_language_is_written_rightly(language: str) -> None:
    """Every file has the classes it uses, knows each label but the bounce, and nothing that no rule asks for."""
    file = files("ai.workflows.intent_classification") / "words" / f"{language}.toml"
    wording = tomllib.loads(file.read_text(encoding="utf-8"))
    words, common = wording.pop("words"), wording.pop("common")
    assert len(common.split()) >= 20
    labels = {intent.value for intent in Intent} - {Intent.OUT_OF_OFFICE, Intent.BOUNCE}
    assert labels <= wording.keys() <= labels | CUES
    for cue, strengths in wording.items():
        assert strengths.keys() <= {*STRENGTHS, "spelt"}, cue
        for phrases in strengths.values():
            assert "<" not in compiled(phrases, words).pattern.replace("(?<", "").replace("(?P<", ""), cue


def test_false_friends_are_not_read() -> None:
    """In a text that is plainly English, what is a refusal in Spanish says nothing."""
    text = words_of("The no and the yes of it: you are right, and that is what we have for you.")
    assert languages_of(text) == ("en",)
    assert not has("not_interested", text)


def test_what_is_mixed_is_read_in_both() -> None:
    """A text in two languages is read in both, and one too short to tell in all."""
    assert {"af", "en"} <= set(
        languages_of(words_of("Hi, ja dis iets vir ons en ek sal kyk. Please send the invite, thank you for that."))
    )
    assert len(languages_of(words_of("Nee dankie"))) > 1


def test_only_the_first_part_is_read() -> None:
    """Beyond the bound nothing is looked at, also where letters unfold into many."""
    assert len(words_of("\ufdfa" * 50_000)) <= MAX_READ
    assert found("unsubscribe", words_of("x " * MAX_READ + "unsubscribe")) == {}
