"""The checks a text must pass before it may leave as a draft; each problem is one sentence."""

import re
from collections.abc import Iterator

from ai.workflows.email_generation.state import Candidate, EmailGenerationInput

MAX_SUBJECT_CHARACTERS = 150
MAX_WRITTEN_CHARACTERS = 4_000
MAX_RENDERED_CHARACTERS = 50_000

_CURLY_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"
_FIELD_WORDS = (
    r"(?:first|last|full|given|family|sur|lead|contact|client|customer|prospect|recipient|sender|company|business"
    r"|brand|product"
    r"|your|my|our|their|insert|add|enter|the|name|names|email|e-mail|title|role|position|industry|city|date|day|time"
    r"|link|url"
    r"|phone|number|signature|topic|here|specific|pain|point|organi[sz]ation|vorname|nachname|firma|prénom|nom|naam"
    r"|nombre|empresa)"
)
_LABEL = rf"{_FIELD_WORDS}(?:'s)?(?:[ _\-/]+{_FIELD_WORDS}(?:'s)?)*"
_UNFILLED = re.compile(
    rf"""\{{\{{ | \}}\}} | \{{% | %\}}            # Liquid
    | \$?\{{[ ]?[A-Za-z_][\w .]*[ ]?\}}             # {{name}}, ${{name}}
    | \[[ ]?{_LABEL}[ ]?\]                          # [First Name]
    | <{{1,2}}[ ]?{_LABEL}[ ]?>{{1,2}}              # <first name>
    | «[^»\n]{{1,40}}» (?=[,\s])                    # mail merge
    | (?-i:%%?[A-Z][A-Z_]{{2,}}%%?)                 # %FIRST_NAME%
    | \*\|[A-Z_:]+\|\*                              # *|FNAME|*
    | (?-i:\b(?:XXX+|TBD|TODO)\b) | \blorem[ ]ipsum\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
_BRACKETED = re.compile(r"\[([^\]\n]{2,60})\]")
_GREETING = re.compile(
    r"\A\s*(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|hallo|guten tag|liebe[r]?|bonjour|cher|chère|salut"
    r"|beste"
    r"|dag|hola|estimad[oa]|olá|prezad[oa]|car[oa])[ ]+(?P<name>[^,!.:;\n]{1,60}?)[ ]*(?:[,!.:;\n\u2013\u2014-]|\Z)",
    re.IGNORECASE,
)
_AT_COMPANY = re.compile(
    r"\b(?:at|work(?:ing|s)? (?:for|with)|teams? (?:of|from)) ((?:[A-Z][\w&'.-]*)(?: (?:(?:&|and"
    r"|of) )?[A-Z][\w&'.-]*)*)"
)
_SCRIPT = re.compile(
    r"<\s*(?:script|iframe|object|embed)\b|\b(?:href|src)\s*=\s*[\"']?\s*(?:javascript|data|vbscript):", re.IGNORECASE
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOBODY = _words(
    "there all team everyone everybody folks friend colleague sir madam sir/madam again mr mrs ms mx dr prof herr frau "
    "monsieur madame and und et en e y"
)
_CALENDAR = _words(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december q1 q2 q3 q4 i i'm i'd i'll you your"
)


def problems_of(candidate: Candidate, request: EmailGenerationInput) -> list[str]:
    """Return one sentence for each thing that forbids this text, none if it may leave."""
    if _CURLY_APOSTROPHE in candidate.text:
        candidate = candidate.model_copy(update={"text": candidate.text.replace(_CURLY_APOSTROPHE, "'")})
    problems = [*_form(candidate), *_unfilled(candidate)]
    if candidate.author == "model":
        known = _known_text(request)
        problems += [
            *_invented_placeholders(candidate, known),
            *_wrong_name(candidate, request),
            *_wrong_company(candidate, known),
        ]
    return problems


def _form(candidate: Candidate) -> Iterator[str]:
    if not candidate.subject.strip():
        yield "The subject is empty."
    if len(candidate.subject) > MAX_SUBJECT_CHARACTERS:
        yield f"The subject has {len(candidate.subject)} characters; at most {MAX_SUBJECT_CHARACTERS} are allowed."
    if not candidate.text.strip():
        yield "The body is empty."
    most = MAX_WRITTEN_CHARACTERS if candidate.author == "model" else MAX_RENDERED_CHARACTERS
    if len(candidate.text) > most:
        yield f"The body has {len(candidate.text)} characters; at most {most} are allowed."
    if candidate.html is not None and _SCRIPT.search(candidate.html):
        yield "The body holds a script, a frame or a link that runs code."


def _unfilled(candidate: Candidate) -> Iterator[str]:
    for part, text in (("subject", candidate.subject), ("body", candidate.text)):
        if found := _UNFILLED.search(text):
            yield f"The {part} holds the unfilled placeholder “{found[0].strip()}”."


def _invented_placeholders(candidate: Candidate, known: str) -> Iterator[str]:
    for text in (candidate.subject, candidate.text):
        for found in _BRACKETED.finditer(text):
            if found[0].casefold() not in known:
                yield f"“{found[0]}” looks like a placeholder; nothing that was given contains it."


def _wrong_name(candidate: Candidate, request: EmailGenerationInput) -> Iterator[str]:
    greeting = _GREETING.match(candidate.text)
    if not greeting:
        return
    lead = request.lead
    own = set(f"{lead.first_name} {lead.last_name} {lead.company}".casefold().replace(".", "").split())
    # A greeting that the step's author wrote out is the author's own.
    own |= set(
        re.sub(r"\{[{%].*?[}%]\}", " ", request.body_template).split("\n", 1)[0].casefold().strip(" ,!.").split()
    )
    strange = [word for word in greeting["name"].split() if word.casefold().strip(".") not in own | _NOBODY]
    if strange:
        yield f"The greeting names {greeting['name']}, which is not this lead's name."


def _wrong_company(candidate: Candidate, known: str) -> Iterator[str]:
    for found in _AT_COMPANY.finditer(candidate.text):
        words = [word.strip(".'").removesuffix("'s").casefold() for word in found[1].split()]
        if any(word not in known and word not in _CALENDAR for word in words):
            yield f"The body names {found[1]}, which nothing that was given supports."


def _known_text(request: EmailGenerationInput) -> str:
    lead, sender = request.lead, request.sender
    parts = [
        request.subject_template, request.body_template, request.voice, request.workspace_name,
        sender.name, sender.email, lead.first_name, lead.last_name, lead.email, lead.company, lead.role, lead.segment,
        *lead.custom_fields.keys(), *lead.custom_fields.values(),
    ]  # fmt: skip
    parts += [text for message in request.earlier_messages for text in (message.subject, message.text)]
    return "\n".join(parts).casefold().replace(_CURLY_APOSTROPHE, "'")
