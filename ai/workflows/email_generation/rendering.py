"""Renders a step's templates with a lead's fields, none of which may be blank."""

from ai import templates
from ai.cleaning import one_line
from ai.errors import TemplateError
from ai.template_work import Work
from ai.workflows.email_generation.state import Candidate, EmailGenerationInput
from email_text import conversion


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


def render(request: EmailGenerationInput, variables: dict[str, object], work: Work | None = None) -> Candidate:
    """Return the rendered templates; raises TemplateError for a blank variable, as `templates.render` does."""
    subject = one_line(templates.render(request.subject_template, variables, work=work))
    if templates.is_html(request.body_template):
        html = templates.render(request.body_template, variables, html=True, work=work)
        text = conversion.to_text(html)
    else:
        text, html = templates.render(request.body_template, variables, work=work).strip(), None
    return Candidate.model_construct(subject=subject, text=text, html=html, author="template")


def try_render(request: EmailGenerationInput, variables: dict[str, object]) -> Candidate | None:
    """Return the rendered templates, or None if they cannot be rendered for this lead."""
    try:
        return render(request, variables)
    except TemplateError:
        return None
