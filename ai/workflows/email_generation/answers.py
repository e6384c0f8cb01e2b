"""Converts the sentences of a model's answer to a text."""

import re

from ai.cleaning import one_line, remove_control_characters
from ai.workflows.email_generation.state import Candidate, Sentence, WrittenEmail

_UNSUBSCRIBE_VARIABLE = re.compile(r"\{\{-?\s*unsubscribe_url\s*-?\}\}")


def to_candidate(email: WrittenEmail, unsubscribe_url: str) -> Candidate:
    """Return the answer as a candidate; the unsubscribe link is filled in here, because a model could miscopy it."""
    paragraphs = [
        [_clean(sentence, unsubscribe_url) for sentence in paragraph if sentence.text.strip()]
        for paragraph in email.paragraphs
    ]
    return Candidate(
        subject=one_line(email.subject),
        text="\n\n".join(_join(paragraph) for paragraph in paragraphs if paragraph),
        author="model",
        sentences=[sentence for paragraph in paragraphs for sentence in paragraph],
    )


def _clean(sentence: Sentence, unsubscribe_url: str) -> Sentence:
    text = remove_control_characters(sentence.text)
    if unsubscribe_url:
        text = _UNSUBSCRIBE_VARIABLE.sub(lambda _: unsubscribe_url, text)
    return Sentence(text=text, sources=[source.strip() for source in sentence.sources])


def _join(sentences: list[Sentence]) -> str:
    """Return a paragraph; sentences are separated by a space unless one has a line break there."""
    text = ""
    for sentence in sentences:
        breaks = not text or text.endswith("\n") or sentence.text.startswith("\n")
        text += sentence.text if breaks else f" {sentence.text}"
    return text.strip()
