"""Makes one text of the sentences in which a model answers."""

import re

from ai.cleaning import one_line, printable
from ai.workflows.email_generation.state import Candidate, Sentence, WrittenEmail

_WAY_OUT = re.compile(r"\{\{-?\s*unsubscribe_url\s*-?\}\}")


def written(email: WrittenEmail, unsubscribe_url: str) -> Candidate:
    """Return the answer as a text to be checked; the mail's way out, which a model could miscopy, is filled in here."""
    paragraphs = [
        [_cleaned(one, unsubscribe_url) for one in paragraph if one.text.strip()] for paragraph in email.paragraphs
    ]
    return Candidate(
        subject=one_line(email.subject),
        text="\n\n".join(_joined(paragraph) for paragraph in paragraphs if paragraph),
        author="model",
        sentences=[one for paragraph in paragraphs for one in paragraph],
    )


def _cleaned(sentence: Sentence, unsubscribe_url: str) -> Sentence:
    text = printable(sentence.text)
    if unsubscribe_url:
        text = _WAY_OUT.sub(lambda _: unsubscribe_url, text)
    return Sentence(text=text, sources=[source.strip() for source in sentence.sources])


def _joined(sentences: list[Sentence]) -> str:
    """Return a paragraph; sentences follow each other on a line unless one brings a line break."""
    text = ""
    for sentence in sentences:
        breaks = not text or text.endswith("\n") or sentence.text.startswith("\n")
        text += sentence.text if breaks else f" {sentence.text}"
    return text.strip()
