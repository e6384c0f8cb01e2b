"""Checks where a text leads its reader: to what the template links, and out of the list by the mail's own way."""

import re
from collections.abc import Iterator

from ai import templates
from ai.errors import TemplateError
from ai.workflows.email_generation import bodies, links
from ai.workflows.email_generation.state import Candidate, EmailGenerationInput

_LEAVING = re.compile(
    r"unsubscri|opt[-_]?out|abmeld|abbestell|austrag|desinscri|désinscri|desabonn|désabonn|afmeld|teken[-_]?af|uitskryf|uitschrijf|cancelar[-_]?suscrip",
    re.IGNORECASE,
)


def foreign_links(candidate: Candidate, request: EmailGenerationInput, rendered: Candidate | None) -> Iterator[str]:
    """Give a problem for each link, address or number in a written text that the filled template does not have."""
    allowed = _linked(rendered) if rendered else links.links_in(f"{request.subject_template}\n{request.body_template}")
    named = f"{request.lead.company} {request.workspace_name} {request.voice}".casefold()
    allowed = [*allowed, request.sender.email, request.unsubscribe_url]
    hosts = {links.host_of(link) for link in allowed}
    own = f"{rendered.text if rendered else request.body_template}\n{request.voice}"
    for part, text in (("subject", candidate.subject), ("body", candidate.text)):
        for link in links.links_in(text):
            if any(links.same(link, other) for other in allowed) or link.casefold() in {*hosts, *named.split()}:
                continue
            yield f"The {part} holds {link}, which is not in the template."
        for trick in links.tricks_in(text):
            if trick not in own:
                yield f"The {part} holds “{trick}”: a link in disguise or a number that is not in the template."


def way_out(candidate: Candidate, request: EmailGenerationInput) -> Iterator[str]:
    """Give a problem where a template places the mail's way out and the text does not show it, or shows another."""
    if not request.unsubscribe_url or not _places_way_out(request.body_template):
        return
    if candidate.author == "model" and not links.holds(candidate.text, request.unsubscribe_url):
        yield "The body does not hold the unsubscribe link that the template places."
    html, raw = candidate.html, bodies.escaped(request.unsubscribe_url)
    if (
        html is not None
        and (raw in html or request.unsubscribe_url in html)
        and not links.shows(html, request.unsubscribe_url)
    ):
        yield "The HTML body holds the unsubscribe link where nobody can see it."
    for link in _linked(candidate):
        if _LEAVING.search(link) and not links.same(link, request.unsubscribe_url):
            yield f"The body holds another unsubscribe link: {link}."


def _places_way_out(template: str) -> bool:
    try:
        return "unsubscribe_url" in templates.variables_of(template)
    except TemplateError:
        return False


def _linked(candidate: Candidate) -> list[str]:
    return [*links.links_in(f"{candidate.subject}\n{candidate.text}"), *links.shown_in(candidate.html or "")]
