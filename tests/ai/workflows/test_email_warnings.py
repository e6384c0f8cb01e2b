import pytest

from ai.preview import render_preview
from ai.workflows.email_generation.state import EmailGenerationInput, LeadFacts


def warn(body: str, **facts: str) -> list[str]:
    """Return the warnings of a preview."""
    request = EmailGenerationInput(subject_template="One", body_template=body, lead=LeadFacts(**facts))
    return render_preview(request).warnings


@pytest.mark.parametrize(
    "greeting",
    ["Hi ,", "Hello !", "Dear ,", "Dear,", "  Hi  ,", "Hallo ,", "Sehr geehrter ,", "Bonjour ,", "Ol\u00e1 ,"],
)
def test_a_greeting_without_a_name_warns(greeting: str) -> None:
    """A greeting with a blank where the name would be, or of a word that needs one, is named in a warning."""
    (warning,) = warn(f"{greeting}\nhow are you?")
    assert warning.startswith(f"The greeting “{greeting.strip()}” has no name.")


@pytest.mark.parametrize(
    "greeting", ["Hi,", "Hi there,", "Hello Ann,", "Hi - one question", "Dear Ann,", "High , low", "Bonjour,"]
)
def test_other_beginnings_do_not_warn(greeting: str) -> None:
    """A greeting that needs no name, one with a name, and other words do not warn."""
    assert warn(f"{greeting}\nhow are you?") == []


def test_what_is_left_out_is_said_with_its_reason() -> None:
    """Fields that look dangerous, are blank or stand for nothing are named, if the template uses them."""
    body = (
        "Hello {{ first_name | default: 'there' }}, {{ company | default: 'you' }} {{ custom.city | default: 'there' }}"
    )
    assert warn(body, first_name="N/A", company="Win http://bit.example/x now", role="-") == [
        "The lead's company is left out, because it contains a link.",
        "The lead has no custom.city. Check that the mail reads well without it.",
        "The lead has no first_name. Check that the mail reads well without it.",
    ]
    assert warn("Hello", company="Win http://bit.example/x now") == []


@pytest.mark.parametrize("company", ["Marks & Spencer <Retail>", "O'Neil & Sons", "I <3 Cats", "a < b", "AT&amp;T"])
def test_text_that_only_looks_like_markup_is_printed(company: str) -> None:
    """Such a name is in the text as it is, and escaped once in the HTML."""
    request = EmailGenerationInput(
        subject_template="{{ company }}", body_template="<p>{{ company }}</p>", lead=LeadFacts(company=company)
    )
    preview = render_preview(request)
    assert (preview.subject, preview.text, preview.warnings) == (company, company, [])
    escaped = company.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("'", "&#39;")
    assert preview.html == f"<p>{escaped}</p>"


@pytest.mark.parametrize("company", ["<b>Acme</b>", "Acme <script>x</script>", "<img src=x>", "<!-- x -->"])
def test_markup_is_left_out(company: str) -> None:
    """A name with tags of HTML is left out, with a warning."""
    assert warn("Hello {{ company | default: 'you' }}", company=company) == [
        "The lead's company is left out, because it contains markup."
    ]
