"""Prepares the input of an email: removes implausible fields, and builds the model's input and the sources."""

import re

from ai import templates
from ai.cleaning import custom_key, one_line, remove_control_characters
from ai.errors import TemplateError
from ai.workflows.email_generation.plausibility import Kind, explain_implausible
from ai.workflows.email_generation.prompt_injection import is_prompt_injection
from ai.workflows.email_generation.state import EarlierMessage, EmailGenerationInput, LeadFacts, PlausibleRequest
from domain.blank_values import is_blank, is_blank_first_name, is_blank_last_name

MAX_MESSAGE_CHARACTERS = 3_000
"""The limit of the text of an earlier message."""
MAX_MESSAGE_SUBJECT_CHARACTERS = 300
MAX_MESSAGES = 10

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


def remove_implausible_fields(request: EmailGenerationInput) -> PlausibleRequest:
    """Return the request without implausible fields, which count as blank from here on.

    `withheld` has the reasons by variable, such as `company` or `custom.note`. A received message with a prompt
    injection loses its subject and text.
    """
    withheld: dict[str, str] = {}
    lead, changes = request.lead, _find_blank_names(request.lead)
    if changes:
        lead = lead.model_copy(update=changes)
    for name, kind in _KINDS.items():
        if reason := explain_implausible(getattr(lead, name), kind):
            withheld[name] = reason
            changes[name] = ""
    if lead.email and not (_ADDRESS.fullmatch(lead.email.strip()) and not is_prompt_injection(lead.email)):
        withheld["email"] = "it is not an email address"
        changes["email"] = ""
    custom = dict(lead.custom_fields)
    for title, value in lead.custom_fields.items():
        if value and is_blank(value):
            custom[title] = ""
        if reason := explain_implausible(value, "note"):
            withheld[f"custom.{custom_key(title)}"] = reason
            del custom[title]
    messages = [_remove_injection(message) for message in request.earlier_messages]
    if not withheld and not changes and custom == lead.custom_fields and messages == request.earlier_messages:
        return PlausibleRequest(request, withheld)
    facts: LeadFacts = lead.model_copy(update={**changes, "custom_fields": custom})
    return PlausibleRequest(request.model_copy(update={"lead": facts, "earlier_messages": messages}), withheld)


def _find_blank_names(lead: LeadFacts) -> dict[str, str]:
    """Return the fields of a lead that only say that there is no value, such as `N/A`, as blank ones."""
    blank = {name: is_blank(getattr(lead, name)) for name in ("company", "role")}
    blank["first_name"] = is_blank_first_name(lead.first_name)
    blank["last_name"] = is_blank_last_name(lead.last_name, lead.first_name)
    return {name: "" for name, is_missing in blank.items() if is_missing and getattr(lead, name)}


def _remove_injection(message: EarlierMessage) -> EarlierMessage:
    if message.direction == "received" and is_prompt_injection(f"{message.subject}\n{message.text}"):
        return message.model_copy(update={"subject": "", "text": ""})
    return message


def build_model_input(request: EmailGenerationInput) -> dict[str, object]:
    """Return the model's input; its keys are the sources that sentences name."""
    lead = request.lead
    return {
        "template": {"subject": request.subject_template, "body": request.body_template},
        "lead": {name: value for name in _FIELDS if (value := one_line(getattr(lead, name)))},
        "custom": {
            custom_key(title): remove_control_characters(value)
            for title, value in lead.custom_fields.items()
            if value.strip() and not is_prompt_injection(title)
        },
        "sender": {**request.sender.model_dump(), "workspace": request.workspace_name},
        "voice": request.voice,
        "earlier_messages": [
            {
                "direction": message.direction,
                "subject": one_line(message.subject)[:MAX_MESSAGE_SUBJECT_CHARACTERS],
                "text": remove_control_characters(message.text)[:MAX_MESSAGE_CHARACTERS],
            }
            for message in request.earlier_messages[-MAX_MESSAGES:]
        ],
    }


def build_sources(request: EmailGenerationInput) -> dict[str, str]:
    """Return the text of each source that a sentence may name, without blank sources."""
    lead = request.lead
    texts = {f"lead.{name}": getattr(lead, name) for name in _FIELDS}
    texts |= {
        f"custom.{custom_key(title)}": f"{title} {value}"
        for title, value in lead.custom_fields.items()
        if value.strip()
    }
    messages = request.earlier_messages[-MAX_MESSAGES:]
    texts["earlier_messages"] = "\n".join(
        f"{message.subject}\n{message.text[:MAX_MESSAGE_CHARACTERS]}" for message in messages
    )
    texts["voice"] = request.voice
    texts["sender"] = f"{request.sender.name} {request.sender.email} {request.workspace_name}"
    texts["template"] = "\n".join(
        _build_template_source(part, texts) for part in (request.subject_template, request.body_template)
    )
    return {name: text for name, text in texts.items() if text.strip()}


def _build_template_source(template: str, texts: dict[str, str]) -> str:
    """Return the text of a template, with all branches and defaults, and the fields it uses."""
    text = _LIQUID.sub(lambda tag: " ".join(a or b for a, b in _LITERAL.findall(tag[0])).join("  "), template)
    if templates.is_html(template):
        text = re.sub(r"<[^<>]*>", " ", text)
    try:
        variables = templates.find_variables(template)
    except TemplateError:
        variables = set()
    if "full_name" in variables:
        variables |= {"first_name", "last_name"}
    return "\n".join([text, *(texts.get(name, texts.get(f"lead.{name}", "")) for name in sorted(variables))])


_FIELDS = (*_KINDS, "email")
