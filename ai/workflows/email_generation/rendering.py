"""Fills a step's templates with a lead's values: for a draft, where nothing may be blank, and for a preview."""

from dataclasses import dataclass

from ai import templates
from ai.cleaning import one_line
from ai.errors import TemplateError
from ai.workflows.email_generation import bodies
from ai.workflows.email_generation.material import believed
from ai.workflows.email_generation.state import Candidate, EmailGenerationInput

MOST_MISSING = 100
SHOWN_WAY_OUT = "https://unsubscribe.invalid/"
"""What a preview shows where each mail has a way out of its own."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A step as a lead would get it; each of the `missing` variables is shown by its name in brackets."""

    subject: str
    text: str
    html: str
    missing: list[str]


def variables_of(request: EmailGenerationInput) -> dict[str, object]:
    """Return what the templates of a request may ask for."""
    lead = request.lead
    fields = {name: getattr(lead, name) for name in ("first_name", "last_name", "email", "company", "role", "segment")}
    return templates.lead_variables(
        fields,
        lead.custom_fields,
        sender_name=request.sender.name,
        sender_email=request.sender.email,
        workspace_name=request.workspace_name,
        unsubscribe_url=request.unsubscribe_url,
    )


def render(request: EmailGenerationInput, variables: dict[str, object]) -> Candidate:
    """Return the templates filled in; raises TemplateError for a blank variable, as `templates.render` does."""
    subject = one_line(templates.render(request.subject_template, variables))
    if templates.is_html(request.body_template):
        html = templates.render(request.body_template, variables, html=True)
        text = bodies.text_of(html)
    else:
        text, html = templates.render(request.body_template, variables).strip(), None
    return Candidate.model_construct(subject=subject, text=text, html=html, author="template")


def rendered(request: EmailGenerationInput, variables: dict[str, object]) -> Candidate | None:
    """Return the templates filled in, None where they cannot be for this lead."""
    try:
        return render(request, variables)
    except TemplateError:
        return None


def preview(request: EmailGenerationInput) -> Preview:
    """Return what a draft from the templates would say, whatever the lead has no value for.

    Raises TemplateError for a template that cannot be rendered for anybody.
    """
    if not request.unsubscribe_url:
        request = request.model_copy(update={"unsubscribe_url": SHOWN_WAY_OUT})
    variables, missing = variables_of(believed(request).request), list[str]()
    while True:
        try:
            made = render(request, variables)
        except TemplateError as error:
            fresh = [name for name in error.names if name not in missing]
            if not fresh or len(missing) >= MOST_MISSING:
                raise
            for name in fresh:
                _fill(variables, name)
            missing += fresh
        else:
            html = made.html if made.html is not None else bodies.html_of(made.text)
            return Preview(made.subject, made.text, html, missing)


def _fill(variables: dict[str, object], name: str) -> None:
    """Give a variable without a value one that shows which it is."""
    group, _, field = name.rpartition(".")
    if not group:
        variables[name] = f"[{name}]"
        return
    held = variables.get(group)
    variables[group] = {**(held if isinstance(held, dict) else {}), field: f"[{name}]"}
