"""Renders a step's templates for a lead as a preview, and checks a text that a user has edited."""

from dataclasses import dataclass

from ai.errors import TemplateError
from ai.template_work import Work
from ai.workflows.email_generation import rendering
from ai.workflows.email_generation.material import remove_implausible_fields
from ai.workflows.email_generation.state import EmailGenerationInput
from ai.workflows.email_generation.warnings import find_edit_warnings, find_warnings
from email_text import conversion

__all__ = ["Preview", "find_edit_warnings", "render_preview"]

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
    warnings: list[str]


def render_preview(request: EmailGenerationInput) -> Preview:
    """Return the rendered templates with placeholders for the missing variables.

    Raises TemplateError for a template that cannot be rendered for any lead.
    """
    if not request.unsubscribe_url:
        request = request.model_copy(update={"unsubscribe_url": PREVIEW_UNSUBSCRIBE_URL})
    plausible = remove_implausible_fields(request)
    variables, missing = rendering.build_variables(plausible.request), list[str]()
    work = Work()
    while True:
        try:
            candidate = rendering.render(request, variables, work)
        except TemplateError as error:
            new_names = [name for name in error.names if name not in missing]
            if not new_names or len(missing) >= MAX_MISSING:
                raise
            for name in new_names:
                _set_placeholder(variables, name)
            missing += new_names
        else:
            html = candidate.html if candidate.html is not None else conversion.to_html(candidate.text)
            warnings = find_warnings(candidate, plausible.request, plausible.withheld)
            return Preview(candidate.subject, candidate.text, html, missing, warnings)


def _set_placeholder(variables: dict[str, object], name: str) -> None:
    """Set a missing variable to its name in brackets."""
    group, _, field = name.rpartition(".")
    if not group:
        variables[name] = f"[{name}]"
        return
    values = variables.get(group)
    variables[group] = {**(values if isinstance(values, dict) else {}), field: f"[{name}]"}
