import tomllib
from importlib.resources import files

import pytest

from ai.workflows.intent_classification.phrases import STRENGTHS, count_phrases, detect_languages, has_phrase
from ai.workflows.intent_classification.state import Intent
from ai.workflows.intent_classification.wording import MAX_CHARACTERS, compile_phrases, normalize

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
def test_a_phrase_is_found_in_common_spellings(phrase: str, text: str, *, is_found: bool) -> None:
    """Case, accents, apostrophes, hyphens and line breaks do not matter; word and clause boundaries do."""
    assert (compile_phrases([phrase], WORDS).search(normalize(text)) is not None) is is_found


@pytest.mark.parametrize("language", ["af", "de", "en", "es", "fr", "nl", "pt"])
def test_the_file_of_a_language_is_complete(language: str) -> None:
    """The file defines the word classes that it uses, has each label except bounce, and only labels and cues."""
    file = files("ai.workflows.intent_classification") / "words" / f"{language}.toml"
    wording = tomllib.loads(file.read_text(encoding="utf-8"))
    words, common = wording.pop("words"), wording.pop("common")
    assert len(common.split()) >= 20
    labels = {intent.value for intent in Intent} - {Intent.OUT_OF_OFFICE, Intent.BOUNCE}
    assert labels <= wording.keys() <= labels | CUES
    for cue, strengths in wording.items():
        assert strengths.keys() <= {*STRENGTHS, "spelt"}, cue
        for phrases in strengths.values():
            assert "<" not in compile_phrases(phrases, words).pattern.replace("(?<", "").replace("(?P<", ""), cue


def test_phrases_of_other_languages_are_ignored() -> None:
    """In an English text, a Spanish refusal has no meaning."""
    text = normalize("The no and the yes of it: you are right, and that is what we have for you.")
    assert detect_languages(text) == ("en",)
    assert not has_phrase("not_interested", text)


def test_a_mixed_text_has_several_languages() -> None:
    """A text in two languages has both, and a very short text has several."""
    assert {"af", "en"} <= set(
        detect_languages(
            normalize("Hi, ja dis iets vir ons en ek sal kyk. Please send the invite, thank you for that.")
        )
    )
    assert len(detect_languages(normalize("Nee dankie"))) > 1


def test_only_the_first_part_is_read() -> None:
    """Text beyond the limit is ignored, also when a letter is normalized to several."""
    assert len(normalize("\ufdfa" * 50_000)) <= MAX_CHARACTERS
    assert count_phrases("unsubscribe", normalize("x " * MAX_CHARACTERS + "unsubscribe")) == {}
