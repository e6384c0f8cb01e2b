"""Checks the links of a text: only links of the template, and a visible unsubscribe link."""

from collections.abc import Iterator

from ai import templates
from ai.errors import TemplateError
from ai.workflows.email_generation.state import Candidate, EmailGenerationInput
from email_text import links


def find_foreign_links(
    candidate: Candidate, request: EmailGenerationInput, rendered: Candidate | None
) -> Iterator[str]:
    """Yield a problem for each link, address or number in a model's text that is not in the rendered template."""
    allowed = (
        _find_links(rendered) if rendered else links.find_links(f"{request.subject_template}\n{request.body_template}")
    )
    known_names = f"{request.lead.company} {request.workspace_name} {request.voice}".casefold()
    allowed = [*allowed, request.sender.email, request.unsubscribe_url]
    hosts = {links.get_host(link) for link in allowed}
    template_text = f"{rendered.text if rendered else request.body_template}\n{request.voice}"
    for part, text in (("subject", candidate.subject), ("body", candidate.text)):
        for link in links.find_links(text):
            if any(links.is_same_link(link, other) for other in allowed) or link.casefold() in {
                *hosts,
                *known_names.split(),
            }:
                continue
            yield f"The {part} contains {link}, which is not in the template."
        for disguised in links.find_disguised_links(text):
            if disguised not in template_text:
                yield f"The {part} contains “{disguised}”, a disguised link or a number that is not in the template."


def check_unsubscribe_link(candidate: Candidate, request: EmailGenerationInput) -> Iterator[str]:
    """Yield a problem when the text does not show the template's unsubscribe link, or shows another one."""
    if not request.unsubscribe_url or not _has_unsubscribe_variable(request.body_template):
        return
    if candidate.author == "model" and not links.contains_link(candidate.text, request.unsubscribe_url):
        yield "The body does not contain the unsubscribe link of the template."
    if candidate.html is not None and links.hides_link(candidate.html, request.unsubscribe_url):
        yield "The unsubscribe link in the HTML body is not visible."
    for link in _find_links(candidate):
        if links.is_unsubscribe_link(link) and not links.is_same_link(link, request.unsubscribe_url):
            yield f"The body contains another unsubscribe link: {link}."


def _has_unsubscribe_variable(template: str) -> bool:
    try:
        return "unsubscribe_url" in templates.find_variables(template)
    except TemplateError:
        return False


def _find_links(candidate: Candidate) -> list[str]:
    return [
        *links.find_links(f"{candidate.subject}\n{candidate.text}"),
        *links.find_visible_links(candidate.html or ""),
    ]
