import pytest

from ai.errors import TemplateError
from ai.workflows.email_generation.rendering import preview, render, variables_of
from ai.workflows.email_generation.state import EmailGenerationInput, LeadFacts, Sender


def asked(subject: str, body: str, **lead: str) -> EmailGenerationInput:
    """Return a request for a lead of whom only this is known."""
    return EmailGenerationInput(
        subject_template=subject, body_template=body, lead=LeadFacts(**lead), sender=Sender(name="Kim")
    )


def test_a_preview_is_what_a_draft_would_be() -> None:
    """With every value there, a preview and a draft from the template read the same."""
    request = asked("For {{ first_name }}", "Hi {{ first_name }},\n\n{{ sender.name }}", first_name="Ada")

    shown, made = preview(request), render(request, variables_of(request))

    assert (shown.subject, shown.text, shown.missing) == (made.subject, made.text, [])
    assert shown.html == "<p>Hi Ada,</p>\n<p>Kim</p>"


def test_a_preview_names_each_missing_variable_once() -> None:
    """In the order in which they are met, plain, grouped and by title alike; a default is not missed."""
    request = asked(
        "{{ company }}", "{{ custom['Deal Stage'] }} {{ company }} {{ sender.email }} {{ role | default: 'x' }}"
    )

    shown = preview(request)

    assert shown.missing == ["company", "custom.deal_stage", "sender.email"]
    assert shown.text == "[custom.deal_stage] [company] [sender.email] x"


def test_a_draft_of_the_same_fails() -> None:
    """What a preview shows in brackets never reaches a draft."""
    request = asked("{{ company }}", "Hi")

    with pytest.raises(TemplateError, match="company"):
        render(request, variables_of(request))


def test_a_template_that_nobody_can_render_has_no_preview() -> None:
    """Broken Liquid is no missing value."""
    with pytest.raises(TemplateError, match="not valid Liquid"):
        preview(asked("{% if %}", "Hi"))


def test_a_preview_shows_where_the_way_out_stands() -> None:
    """The link is each mail's own, so a preview shows one that leads nowhere, and misses nothing."""
    shown = preview(asked("Hi", "Hello\n\nUnsubscribe: {{ unsubscribe_url }}"))

    assert shown.missing == []
    assert shown.text.endswith("Unsubscribe: https://unsubscribe.invalid/")


def test_a_preview_misses_what_is_not_believed() -> None:
    """A field that a draft would take for empty is shown as missing."""
    shown = preview(
        asked("Hi", "Hi {{ first_name }} of {{ company }}", first_name="https://x.example", company="Yahoo!")
    )

    assert shown.missing == ["first_name"]
    assert shown.text == "Hi [first_name] of Yahoo!"
