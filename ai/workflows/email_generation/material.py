"""What an email may draw on: the fields that can be believed, as the model is shown them and as sentences cite them."""

import re

from ai import templates
from ai.cleaning import custom_key, one_line, printable
from ai.errors import TemplateError
from ai.workflows.email_generation.orders import speaks_to_a_model
from ai.workflows.email_generation.plausible import Kind, why_implausible
from ai.workflows.email_generation.state import Believed, EarlierMessage, EmailGenerationInput, LeadFacts

MOST_SHOWN_CHARACTERS = 3_000
"""Of one earlier message's text."""
MOST_SHOWN_SUBJECT = 300
MOST_SHOWN_MESSAGES = 10

_KINDS: dict[str, Kind] = {
    "first_name": "person",
    "last_name": "person",
    "company": "label",
    "role": "label",
    "segment": "label",
}
_ADDRESS = re.compile(r"[^\s<>\"(){}]{1,64}@[^\s<>\"(){}]{3,255}")
_LIQUID = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_LITERAL = re.compile(r"\"([^\"]*)\"|'([^']*)'")


def believed(request: EmailGenerationInput) -> Believed:
    """Return the request without the fields that hold something else: they count as blank from here on.

    `withheld` is by variable, such as `company` or `custom.note`. An earlier message that gives orders loses its words.
    """
    withheld: dict[str, str] = {}
    lead, kept = request.lead, dict[str, str]()
    for name, kind in _KINDS.items():
        if reason := why_implausible(getattr(lead, name), kind):
            withheld[name] = reason
            kept[name] = ""
    if lead.email and not (_ADDRESS.fullmatch(lead.email.strip()) and not speaks_to_a_model(lead.email)):
        withheld["email"] = "it is no email address"
        kept["email"] = ""
    custom = dict(lead.custom_fields)
    for title, value in lead.custom_fields.items():
        if reason := why_implausible(value, "note"):
            withheld[f"custom.{custom_key(title)}"] = reason
            del custom[title]
    messages = [_without_orders(message) for message in request.earlier_messages]
    if not withheld and messages == request.earlier_messages:
        return Believed(request, withheld)
    facts: LeadFacts = lead.model_copy(update={**kept, "custom_fields": custom})
    return Believed(request.model_copy(update={"lead": facts, "earlier_messages": messages}), withheld)


def _without_orders(message: EarlierMessage) -> EarlierMessage:
    if message.direction == "received" and speaks_to_a_model(f"{message.subject}\n{message.text}"):
        return message.model_copy(update={"subject": "", "text": ""})
    return message


def shown(request: EmailGenerationInput) -> dict[str, object]:
    """Return what the model is given of a believed request; its keys are the sources that sentences name."""
    lead = request.lead
    return {
        "template": {"subject": request.subject_template, "body": request.body_template},
        "lead": {name: value for name in _FIELDS if (value := one_line(getattr(lead, name)))},
        "custom": {
            custom_key(title): printable(value)
            for title, value in lead.custom_fields.items()
            if value.strip() and not speaks_to_a_model(title)
        },
        "sender": {**request.sender.model_dump(), "workspace": request.workspace_name},
        "voice": request.voice,
        "earlier_messages": [
            {
                "direction": message.direction,
                "subject": one_line(message.subject)[:MOST_SHOWN_SUBJECT],
                "text": printable(message.text)[:MOST_SHOWN_CHARACTERS],
            }
            for message in request.earlier_messages[-MOST_SHOWN_MESSAGES:]
        ],
    }


def sources_of(request: EmailGenerationInput) -> dict[str, str]:
    """Return the text behind each source that a sentence may name; blank ones are left out."""
    lead = request.lead
    texts = {f"lead.{name}": getattr(lead, name) for name in _FIELDS}
    texts |= {
        f"custom.{custom_key(title)}": f"{title} {value}"
        for title, value in lead.custom_fields.items()
        if value.strip()
    }
    shown_messages = request.earlier_messages[-MOST_SHOWN_MESSAGES:]
    texts["earlier_messages"] = "\n".join(
        f"{one.subject}\n{one.text[:MOST_SHOWN_CHARACTERS]}" for one in shown_messages
    )
    texts["voice"] = request.voice
    texts["sender"] = f"{request.sender.name} {request.sender.email} {request.workspace_name}"
    texts["template"] = "\n".join(_said(part, texts) for part in (request.subject_template, request.body_template))
    return {name: text for name, text in texts.items() if text.strip()}


def _said(template: str, texts: dict[str, str]) -> str:
    """Return what a template says of its own, branches and defaults included, and the fields it asks for."""
    own = _LIQUID.sub(lambda tag: " ".join(a or b for a, b in _LITERAL.findall(tag[0])).join("  "), template)
    if templates.is_html(template):
        own = re.sub(r"<[^<>]*>", " ", own)
    try:
        asked = templates.variables_of(template)
    except TemplateError:
        asked = set()
    if "full_name" in asked:
        asked |= {"first_name", "last_name"}
    return "\n".join([own, *(texts.get(name, texts.get(f"lead.{name}", "")) for name in sorted(asked))])


_FIELDS = (*_KINDS, "email")
