"""Says what a reviewer should know about a mail: fields that are left out, and a greeting without a name."""

import re
from collections.abc import Iterator, Mapping

from ai import templates
from ai.errors import TemplateError
from ai.workflows.email_generation.material import remove_implausible_fields
from ai.workflows.email_generation.placeholders import UNFILLED
from ai.workflows.email_generation.state import Candidate, EmailGenerationInput

_GREETING = (
    r"(?:hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|hallo|guten (?:tag|morgen)|lieber?|sehr geehrter?"
    r"|sehr geehrtes?|moin|bonjour|salut|ch[eè]re?|beste|geachte|dag|goeie (?:dag|more)|haai|liewe|hola|estimad[oa]"
    r"|querid[oa]|ol[aá]|oi|prezad[oa]|ciao|buongiorno|gentile|car[oa])"
)
_BLANK_GREETING = re.compile(
    rf"^[ \t]*({_GREETING}(?:[ \t\u00a0]+|[ \t\u00a0]*-[ \t\u00a0]*)[,!:;.])", re.IGNORECASE | re.MULTILINE
)
_NAMED_ONLY = re.compile(
    r"^[ \t]*((?:dear|lieber?|sehr geehrter?|ch[eè]re?|geachte|beste|liewe|estimad[oa]|querid[oa]|prezad[oa]|gentile)"
    r"[,!:])",
    re.IGNORECASE | re.MULTILINE,
)


def find_warnings(candidate: Candidate, request: EmailGenerationInput, withheld: Mapping[str, str]) -> list[str]:
    """Return a sentence for each thing that is missing in a mail.

    `request` has only plausible fields; `withheld` has the reasons for the removed ones.
    """
    used = _find_variables(request)
    names = withheld.keys() if candidate.author == "model" else withheld.keys() & used
    return [
        *(f"The lead's {name} is left out, because {withheld[name]}." for name in sorted(names)),
        *(
            f"The lead has no {name}. Check that the mail reads well without it."
            for name in sorted(used - withheld.keys())
            if _is_missing(name, request)
        ),
        *_find_blank_greeting(candidate),
    ]


def find_edit_warnings(request: EmailGenerationInput, subject: str, text: str) -> list[str]:
    """Return the warnings of a mail whose text a user has edited; a withheld value that the user wrote is not missing.

    `request` has the step's templates and the lead's fields as they are now.
    """
    plausible = remove_implausible_fields(request)
    written = {name for name in plausible.withheld if _is_written(name, request, subject, text)}
    withheld = {name: reason for name, reason in plausible.withheld.items() if name not in written}
    lead = plausible.request.lead.model_copy(update={name: getattr(request.lead, name) for name in written})
    candidate = Candidate(subject=subject, text=text, author="template")
    known = plausible.request.model_copy(update={"lead": lead})
    return [*find_warnings(candidate, known, withheld), *_find_placeholders(candidate)]


def _is_written(name: str, request: EmailGenerationInput, subject: str, text: str) -> bool:
    value = str(getattr(request.lead, name, ""))
    return bool(value.strip()) and any(value.casefold() in part.casefold() for part in (subject, text))


def _find_placeholders(candidate: Candidate) -> Iterator[str]:
    for part, text in (("subject", candidate.subject), ("body", candidate.text)):
        if match := UNFILLED.search(text):
            yield f"The {part} contains the placeholder “{match[0].strip()}”, which is sent as it is."


def _find_variables(request: EmailGenerationInput) -> set[str]:
    names: set[str] = set()
    for template in (request.subject_template, request.body_template):
        try:
            names |= templates.find_variables(template)
        except TemplateError:
            continue
    return names | ({"first_name", "last_name"} if "full_name" in names else set())


def _is_missing(name: str, request: EmailGenerationInput) -> bool:
    """Return whether a field of the lead has no value; other variables always have one."""
    if name.startswith("custom."):
        key = name.removeprefix("custom.")
        return not any(
            templates.custom_key(title) == key and value.strip() for title, value in request.lead.custom_fields.items()
        )
    fields = ("first_name", "last_name", "company", "role", "segment")
    return name in fields and not getattr(request.lead, name).strip()


def _find_blank_greeting(candidate: Candidate) -> Iterator[str]:
    for text in (candidate.subject, candidate.text):
        if found := _BLANK_GREETING.search(text) or _NAMED_ONLY.search(text):
            example = "{{ first_name | default: 'there' }}"
            yield f"The greeting “{found[1]}” has no name. Add a default to the template, such as {example}."
            return
