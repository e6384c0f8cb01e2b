import pytest

from ai.errors import TemplateError
from ai.preview import render_preview
from ai.workflows.email_generation.rendering import build_variables, render
from ai.workflows.email_generation.state import EmailGenerationInput, LeadFacts, Sender


def build_request(subject: str, body: str, **lead: str) -> EmailGenerationInput:
    """Return a request for a lead with only these fields."""
    return EmailGenerationInput(
        subject_template=subject, body_template=body, lead=LeadFacts(**lead), sender=Sender(name="Kim")
    )


def test_a_preview_has_the_text_of_the_draft() -> None:
    """Without missing values, a preview and a draft from the template have the same text."""
    request = build_request("For {{ first_name }}", "Hi {{ first_name }},\n\n{{ sender.name }}", first_name="Ada")

    preview, draft = render_preview(request), render(request, build_variables(request))

    assert (preview.subject, preview.text, preview.missing) == (draft.subject, draft.text, [])
    assert preview.html == "<p>Hi Ada,</p>\n<p>Kim</p>"


def test_a_preview_names_each_missing_variable_once() -> None:
    """Variables, grouped variables and titles are listed in order; a variable with a default is not missing."""
    request = build_request(
        "{{ company }}", "{{ custom['Deal Stage'] }} {{ company }} {{ sender.email }} {{ role | default: 'x' }}"
    )

    preview = render_preview(request)

    assert preview.missing == ["company", "custom.deal_stage", "sender.email"]
    assert preview.text == "[custom.deal_stage] [company] [sender.email] x"


def test_a_draft_with_a_missing_variable_fails() -> None:
    """A missing variable that a preview shows in brackets is an error in a draft."""
    request = build_request("{{ company }}", "Hi")

    with pytest.raises(TemplateError, match="company"):
        render(request, build_variables(request))


def test_an_invalid_template_has_no_preview() -> None:
    """Invalid Liquid is an error and not a missing value."""
    with pytest.raises(TemplateError, match="not valid Liquid"):
        render_preview(build_request("{% if %}", "Hi"))


def test_a_preview_has_an_example_unsubscribe_link() -> None:
    """Each email has its own link, so a preview shows an invalid one and does not list it as missing."""
    preview = render_preview(build_request("Hi", "Hello\n\nUnsubscribe: {{ unsubscribe_url }}"))

    assert preview.missing == []
    assert preview.text.endswith("Unsubscribe: https://unsubscribe.invalid/")


def test_an_implausible_field_is_missing_in_a_preview() -> None:
    """A field that counts as empty in a draft is shown as missing."""
    preview = render_preview(
        build_request("Hi", "Hi {{ first_name }} of {{ company }}", first_name="https://x.example", company="Yahoo!")
    )

    assert preview.missing == ["first_name"]
    assert preview.text == "Hi [first_name] of Yahoo!"
