"""The checks that a text must pass to become a draft; each problem is a sentence."""

import re
from collections.abc import Iterator
from functools import cache

from ai import prompts
from ai.workflows.email_generation.claims import find_unsupported_claims
from ai.workflows.email_generation.destinations import check_unsubscribe_link, find_foreign_links
from ai.workflows.email_generation.material import build_sources
from ai.workflows.email_generation.names import find_wrong_greeting, is_ordinary
from ai.workflows.email_generation.placeholders import UNFILLED
from ai.workflows.email_generation.state import Candidate, EmailGenerationInput
from ai.workflows.email_generation.wording import CURLY_APOSTROPHE, fold, load_spam_pattern
from email_text.subjects import has_reply_prefix

MAX_SUBJECT_CHARACTERS = 150
MAX_WRITTEN_SUBJECT_CHARACTERS = 100
MAX_WRITTEN_WORDS = 260
MAX_WRITTEN_CHARACTERS = 4_000
MAX_RENDERED_CHARACTERS = 50_000

_CAPITALS = re.compile(r"\b[^\W\d_a-z]{4,}(?:[ ,!]+[^\W\d_a-z]{2,})+\b|\b[^\W\d_a-z]{7,}\b")
_BRACKETED = re.compile(r"\[([^\]\n]{2,60})\]")
_AT_COMPANY = re.compile(
    r"\b(?:at|work(?:ing|s)? (?:for|with)|teams? (?:of|from)) ((?:[A-Z][\w&'.-]*)(?: (?:(?:&|and"
    r"|of) )?[A-Z][\w&'.-]*)*)"
)
_SCRIPT = re.compile(
    r"<\s*(?:script|iframe|object|embed)\b|\b(?:href|src)\s*=\s*[\"']?\s*(?:javascript|data|vbscript):", re.IGNORECASE
)


_LEAKED_WORDS = 6
_INTERNAL_NAME = re.compile(
    r"\b(?:lead|custom|sender)\.[a-z_]{3,}\b|\b(?:earlier_messages|custom_fields|(?:first|last|full)_name)\b|</?data>"
)


def find_problems(candidate: Candidate, request: EmailGenerationInput, rendered: Candidate | None = None) -> list[str]:
    """Return a sentence for each problem of the text.

    `request` has only plausible fields; `rendered` is its rendered template, whose links a model's text may contain.
    """
    # Checked first, because the other checks are slow on long texts and a model's answer may have any length.
    if too_long := [*_check_length(candidate)]:
        return too_long
    candidate = candidate.model_copy(update={"text": candidate.text.replace(CURLY_APOSTROPHE, "'")})
    problems = [
        *_check_form(candidate),
        *_find_unfilled_placeholders(candidate),
        *check_unsubscribe_link(candidate, request),
    ]
    if candidate.author == "model":
        sources = build_sources(request)
        known = "\n".join(sources.values()).casefold().replace(CURLY_APOSTROPHE, "'")
        problems += [
            *_find_invented_placeholders(candidate, known),
            *find_wrong_greeting(candidate, request),
            *_find_unknown_companies(candidate, known),
            *find_foreign_links(candidate, request, rendered),
            *_find_spam(candidate, request, sources.get("template", "")),
            *_find_leaks(candidate, known),
            *find_unsupported_claims(candidate, request, sources),
        ]
    return problems


def _check_length(candidate: Candidate) -> Iterator[str]:
    by_model = candidate.author == "model"
    for part, text, limit in (
        ("subject", candidate.subject, MAX_WRITTEN_SUBJECT_CHARACTERS if by_model else MAX_SUBJECT_CHARACTERS),
        ("body", candidate.text, MAX_WRITTEN_CHARACTERS if by_model else MAX_RENDERED_CHARACTERS),
    ):
        if len(text) > limit:
            yield f"The {part} has {len(text)} characters; at most {limit} are allowed."
    if by_model and (words := len(candidate.text.split())) > MAX_WRITTEN_WORDS:
        yield f"The body has {words} words; at most {MAX_WRITTEN_WORDS} are allowed."


def _check_form(candidate: Candidate) -> Iterator[str]:
    if not candidate.subject.strip():
        yield "The subject is empty."
    if not candidate.text.strip():
        yield "The body is empty."
    if candidate.html is not None and _SCRIPT.search(candidate.html):
        yield "The body contains a script, a frame or a link that runs code."


def _find_unfilled_placeholders(candidate: Candidate) -> Iterator[str]:
    for part, text in (("subject", candidate.subject), ("body", candidate.text)):
        if match := UNFILLED.search(text):
            yield f"The {part} contains the unfilled placeholder “{match[0].strip()}”."


def _find_invented_placeholders(candidate: Candidate, known: str) -> Iterator[str]:
    for text in (candidate.subject, candidate.text):
        for match in _BRACKETED.finditer(text):
            if match[0].casefold() not in known:
                yield f"“{match[0]}” looks like a placeholder and is not in the input."


def _find_unknown_companies(candidate: Candidate, known: str) -> Iterator[str]:
    for part, text in (("subject", candidate.subject), ("body", candidate.text)):
        for match in _AT_COMPANY.finditer(text):
            words = [word.strip(".'").removesuffix("'s").casefold() for word in match[1].split()]
            if any(word not in known and not is_ordinary(word) for word in words):
                yield f"The {part} names {match[1]}, which is not in the input."


def _find_spam(candidate: Candidate, request: EmailGenerationInput, template: str) -> Iterator[str]:
    """Yield what spam filters and readers consider spam, unless it is in the template."""
    template_words, subject = fold(template), candidate.subject
    for part, text in (("subject", subject), ("body", candidate.text)):
        for match in load_spam_pattern().finditer(fold(text)):
            if match[0] not in template_words:
                yield f"The {part} contains the spam phrase “{match[0].strip()}”."
        capitals = _CAPITALS.search(text)
        if capitals and fold(capitals[0]) not in f"{template_words} {fold(request.lead.company)}":
            yield f"The {part} has “{capitals[0]}” in capitals."
        if re.search(r"!\s?!|\?!|[€$£]{2}", text):
            yield f"The {part} has repeated exclamation or currency marks."
    if has_reply_prefix(subject) and not request.earlier_messages:
        yield "The subject looks like a reply or a forwarded message, but there is no earlier message."


def _find_leaks(candidate: Candidate, known: str) -> Iterator[str]:
    """Yield text that comes from the model's instructions and not from its input."""
    text = f"{candidate.subject}\n{candidate.text}"
    if match := _INTERNAL_NAME.search(text):
        yield f"The text contains the internal name “{match[0]}”."
    words = _split_words(text)
    runs = {" ".join(words[at : at + _LEAKED_WORDS]) for at in range(len(words) - _LEAKED_WORDS + 1)}
    input_words = " ".join(_split_words(known))
    if any(run in instructions for instructions in _load_instructions() for run in runs if run not in input_words):
        yield "The text repeats the instructions of the model."


def _split_words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", fold(text))


@cache
def _load_instructions() -> tuple[str, ...]:
    return tuple(" ".join(_split_words(prompts.load("email_generation", name).text)) for name in ("write", "rewrite"))
