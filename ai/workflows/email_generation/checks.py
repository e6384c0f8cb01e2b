"""The checks a text must pass before it may leave as a draft; each problem is one sentence."""

import re
from collections.abc import Iterator
from functools import cache

from ai import prompts
from ai.workflows.email_generation.claims import claims_without_support
from ai.workflows.email_generation.destinations import foreign_links, way_out
from ai.workflows.email_generation.material import sources_of
from ai.workflows.email_generation.names import is_ordinary, wrong_greeting
from ai.workflows.email_generation.placeholders import UNFILLED
from ai.workflows.email_generation.state import Candidate, EmailGenerationInput
from ai.workflows.email_generation.wording import CURLY_APOSTROPHE, FAKED_ANSWER, folded, spam

MAX_SUBJECT_CHARACTERS = 150
MAX_WRITTEN_SUBJECT_CHARACTERS = 100
MAX_WRITTEN_WORDS = 260
MAX_WRITTEN_CHARACTERS = 4_000
MAX_RENDERED_CHARACTERS = 50_000

_SHOUTED = re.compile(r"\b[^\W\d_a-z]{4,}(?:[ ,!]+[^\W\d_a-z]{2,})+\b|\b[^\W\d_a-z]{7,}\b")
_BRACKETED = re.compile(r"\[([^\]\n]{2,60})\]")
_AT_COMPANY = re.compile(
    r"\b(?:at|work(?:ing|s)? (?:for|with)|teams? (?:of|from)) ((?:[A-Z][\w&'.-]*)(?: (?:(?:&|and"
    r"|of) )?[A-Z][\w&'.-]*)*)"
)
_SCRIPT = re.compile(
    r"<\s*(?:script|iframe|object|embed)\b|\b(?:href|src)\s*=\s*[\"']?\s*(?:javascript|data|vbscript):", re.IGNORECASE
)


_LEAKED_WORDS = 6
_INNER_NAME = re.compile(
    r"\b(?:lead|custom|sender)\.[a-z_]{3,}\b|\b(?:earlier_messages|custom_fields|(?:first|last|full)_name)\b|</?data>"
)


def problems_of(candidate: Candidate, request: EmailGenerationInput, rendered: Candidate | None = None) -> list[str]:
    """Return one sentence for each thing that forbids this text, none if it may leave.

    `request` is a believed one; `rendered` is its template filled in, which has the links that a model's text may have.
    """
    # Not looked into: what a model may answer has no bound, and the other checks take their time over long texts.
    if too_long := [*_length(candidate)]:
        return too_long
    candidate = candidate.model_copy(update={"text": candidate.text.replace(CURLY_APOSTROPHE, "'")})
    problems = [*_form(candidate), *_unfilled(candidate), *way_out(candidate, request)]
    if candidate.author == "model":
        sources = sources_of(request)
        known = "\n".join(sources.values()).casefold().replace(CURLY_APOSTROPHE, "'")
        problems += [
            *_invented_placeholders(candidate, known),
            *wrong_greeting(candidate, request),
            *_wrong_company(candidate, known),
            *foreign_links(candidate, request, rendered),
            *_advertising(candidate, request, sources.get("template", "")),
            *_leaked(candidate, known),
            *claims_without_support(candidate, request, sources),
        ]
    return problems


def _length(candidate: Candidate) -> Iterator[str]:
    by_model = candidate.author == "model"
    for part, text, most in (
        ("subject", candidate.subject, MAX_WRITTEN_SUBJECT_CHARACTERS if by_model else MAX_SUBJECT_CHARACTERS),
        ("body", candidate.text, MAX_WRITTEN_CHARACTERS if by_model else MAX_RENDERED_CHARACTERS),
    ):
        if len(text) > most:
            yield f"The {part} has {len(text)} characters; at most {most} are allowed."
    if by_model and (words := len(candidate.text.split())) > MAX_WRITTEN_WORDS:
        yield f"The body has {words} words; at most {MAX_WRITTEN_WORDS} are allowed."


def _form(candidate: Candidate) -> Iterator[str]:
    if not candidate.subject.strip():
        yield "The subject is empty."
    if not candidate.text.strip():
        yield "The body is empty."
    if candidate.html is not None and _SCRIPT.search(candidate.html):
        yield "The body holds a script, a frame or a link that runs code."


def _unfilled(candidate: Candidate) -> Iterator[str]:
    for part, text in (("subject", candidate.subject), ("body", candidate.text)):
        if found := UNFILLED.search(text):
            yield f"The {part} holds the unfilled placeholder “{found[0].strip()}”."


def _invented_placeholders(candidate: Candidate, known: str) -> Iterator[str]:
    for text in (candidate.subject, candidate.text):
        for found in _BRACKETED.finditer(text):
            if found[0].casefold() not in known:
                yield f"“{found[0]}” looks like a placeholder; nothing that was given contains it."


def _wrong_company(candidate: Candidate, known: str) -> Iterator[str]:
    for part, text in (("subject", candidate.subject), ("body", candidate.text)):
        for found in _AT_COMPANY.finditer(text):
            words = [word.strip(".'").removesuffix("'s").casefold() for word in found[1].split()]
            if any(word not in known and not is_ordinary(word) for word in words):
                yield f"The {part} names {found[1]}, which nothing that was given supports."


def _advertising(candidate: Candidate, request: EmailGenerationInput, template: str) -> Iterator[str]:
    """Give what filters and people take for spam, unless the template's author wrote it so."""
    own, subject = folded(template), candidate.subject
    for part, text in (("subject", subject), ("body", candidate.text)):
        for found in spam().finditer(folded(text)):
            if found[0] not in own:
                yield f"The {part} holds the spam phrase “{found[0].strip()}”."
        shouted = _SHOUTED.search(text)
        if shouted and folded(shouted[0]) not in f"{own} {folded(request.lead.company)}":
            yield f"The {part} shouts “{shouted[0]}”."
        if re.search(r"!\s?!|\?!|[€$£]{2}", text):
            yield f"The {part} piles up exclamation or currency marks."
    if FAKED_ANSWER.match(subject) and not request.earlier_messages:
        yield "The subject claims to answer or forward a message that there was not."


def _leaked(candidate: Candidate, known: str) -> Iterator[str]:
    """Give what comes from how the model is asked, not from what it is given."""
    text = f"{candidate.subject}\n{candidate.text}"
    if found := _INNER_NAME.search(text):
        yield f"The text holds “{found[0]}”, which is no word of an email."
    words = _words(text)
    runs = {" ".join(words[at : at + _LEAKED_WORDS]) for at in range(len(words) - _LEAKED_WORDS + 1)}
    own = " ".join(_words(known))
    if any(run in instructions for instructions in _instructions() for run in runs if run not in own):
        yield "The text repeats the instructions that the model was given."


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", folded(text))


@cache
def _instructions() -> tuple[str, ...]:
    return tuple(" ".join(_words(prompts.load("email_generation", name).text)) for name in ("write", "rewrite"))
