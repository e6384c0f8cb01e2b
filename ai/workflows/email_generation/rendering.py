"""Renders a step's templates with a lead's fields: for drafts, in which no variable may be blank, and for previews."""

from dataclasses import dataclass

from ai import templates
from ai.cleaning import one_line
from ai.errors import TemplateError
from ai.workflows.email_generation.material import remove_implausible_fields
from ai.workflows.email_generation.state import Candidate, EmailGenerationInput
from email_text import conversion

MAX_MISSING = 100
PREVIEW_UNSUBSCRIBE_URL = "https://unsubscribe.invalid/"
"""The unsubscribe link in previews; each email has its own."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A rendered step; each of the `missing` variables is shown as its name in brackets."""

    subject: str
    text: str
    html: str
    missing: list[str]


def build_variables(request: EmailGenerationInput) -> dict[str, object]:
    """Return the variables for the templates of a request."""
    lead = request.lead
    fields = {name: getattr(lead, name) for name in ("first_name", "last_name", "email", "company", "role", "segment")}
    return templates.build_lead_variables(
        fields,
        lead.custom_fields,
        sender_name=request.sender.name,
        sender_email=request.sender.email,
        workspace_name=request.workspace_name,
        unsubscribe_url=request.unsubscribe_url,
    )


def render(request: EmailGenerationInput, variables: dict[str, object]) -> Candidate:
    """Return the rendered templates; raises TemplateError for a blank variable, as `templates.render` does."""
    subject = one_line(templates.render(request.subject_template, variables))
    if templates.is_html(request.body_template):
        html = templates.render(request.body_template, variables, html=True)
        text = conversion.to_text(html)
    else:
        text, html = templates.render(request.body_template, variables).strip(), None
    return Candidate.model_construct(subject=subject, text=text, html=html, author="template")


def try_render(request: EmailGenerationInput, variables: dict[str, object]) -> Candidate | None:
    """Return the rendered templates, or None if they cannot be rendered for this lead."""
    try:
        return render(request, variables)
    except TemplateError:
        return None


def render_preview(request: EmailGenerationInput) -> Preview:
    """Return the rendered templates with placeholders for the missing variables.

    Raises TemplateError for a template that cannot be rendered for any lead.
    """
    if not request.unsubscribe_url:
        request = request.model_copy(update={"unsubscribe_url": PREVIEW_UNSUBSCRIBE_URL})
    variables, missing = build_variables(remove_implausible_fields(request).request), list[str]()
    while True:
        try:
            candidate = render(request, variables)
        except TemplateError as error:
            new_names = [name for name in error.names if name not in missing]
            if not new_names or len(missing) >= MAX_MISSING:
                raise
            for name in new_names:
                _set_placeholder(variables, name)
            missing += new_names
        else:
            html = candidate.html if candidate.html is not None else conversion.to_html(candidate.text)
            return Preview(candidate.subject, candidate.text, html, missing)


def _set_placeholder(variables: dict[str, object], name: str) -> None:
    """Set a missing variable to its name in brackets."""
    group, _, field = name.rpartition(".")
    if not group:
        variables[name] = f"[{name}]"
        return
    values = variables.get(group)
    variables[group] = {**(values if isinstance(values, dict) else {}), field: f"[{name}]"}
