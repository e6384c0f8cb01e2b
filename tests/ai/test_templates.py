from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.templates import (
    TemplateError,
    build_lead_variables,
    check_template,
    custom_key,
    find_variables,
    is_html,
    render,
)

ADA = build_lead_variables(
    {"first_name": "Ada", "last_name": "Lovelace", "company": "Engines & Co"},
    {"Deal Stage": "Won", "Unset": "", "Limit": "9"},
    sender_name="Kim",
    unsubscribe_url="https://app.example/u/x",
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("Hi {{ first_name }}", "Hi Ada"),
        ("{{ full_name }}", "Ada Lovelace"),
        ("{{ custom.field_limit }} {{ custom['Limit'] }}", "9 9"),
        ("{{ custom.deal_stage }} {{ custom['Deal Stage'] }}", "Won Won"),
        ("{{ role | default: 'colleague' }}", "colleague"),
        ("{{ role | strip | capitalize | default: 'colleague' }}", "colleague"),
        ("{% if role %}yes{% else %}no{% endif %}", "no"),
        ("{% if role != blank %}yes{% else %}no{% endif %}", "no"),
        ("{% if role == '' %}empty{% endif %}", "empty"),
        ("{% if custom.unset %}yes{% else %}no{% endif %}", "no"),
        ("{% unless role == nil %}yes{% else %}no{% endunless %}", "no"),
        ("{% assign name = first_name | upcase %}{{ name }}", "ADA"),
        ("{{ unsubscribe_url }}", "https://app.example/u/x"),
    ],
)
def test_templates_are_rendered(template: str, expected: str) -> None:
    """Values, defaults, conditions on blank variables and custom fields by key or title are rendered."""
    assert render(template, ADA) == expected


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ role }}", "role"),
        ("{{ custom.unset }}", "custom.unset"),
        ("{{ custom.nothing | upcase }}", "custom.nothing"),
        ("{{ sender.email }}", "sender.email"),
        ("{{ 'Dear ' | append: role }}", "role"),
        ("{{ frist_name }}", "frist_name"),
    ],
)
def test_printing_a_blank_variable_is_an_error(template: str, name: str) -> None:
    """Printing a variable without a value is an error that names it, in text and in HTML."""
    for html in (False, True):
        with pytest.raises(TemplateError) as caught:
            render(template, ADA, html=html)
        assert caught.value.names == (name,)


@pytest.mark.parametrize(
    "template",
    [
        "{{ first_name",
        "{% if first_name %}",
        "{% include 'secrets' %}",
        "{% render 'secrets' %}",
        "{{ company | safe }}",
        "{{ 'now' | date: '%Y' }}",
        "{{ custom }}",
        "{{ first_name | divided_by: 0 }}",
        "{% for i in (1..100000000) %}x{% endfor %}",
        "{% assign x = 'aaaaaaaaaa' %}{% for i in (1..900) %}{% assign x = x | append: x %}{% endfor %}",
        "{% assign x = 9 %}{% for i in (1..900) %}{% assign x = x | times: x %}{% endfor %}",
        "{% if first_name %}" * 500,
        "x" * 50_001,
    ],
)
def test_the_sandbox_refuses_unsafe_templates(template: str) -> None:
    """Invalid syntax, excluded tags and filters, and templates that need too many resources raise TemplateError."""
    with pytest.raises(TemplateError) as caught:
        render(template, ADA)
    assert caught.value.message.endswith((".", "…"))


@pytest.mark.parametrize(
    ("begin", "repeated", "limit", "end", "sentence"),
    [
        ("{% if role", " or role", 50, " %}{% endif %}", "A tag of the template has more than 50 operators"),
        ("{% if role", " == role", 50, " %}{% endif %}", "A tag of the template has more than 50 operators"),
        ("{% if role", " contains role", 50, " %}{% endif %}", "A tag of the template has more than 50 operators"),
        ("{{ custom", "['a']", 50, " | default: 1 }}", "A tag of the template has more than 50 operators"),
        ("{{ ", "9", 300, " }}", "A number in the template has more than 300 digits"),
        ("{{ '", "9", 300, "' | plus: 0 }}", "The template cannot be rendered: the filter plus supports"),
        ("{{ 0 | plus: '", "9", 300, "' }}", "The template cannot be rendered: the filter plus supports"),
        ("{{ 'x' | truncate: '", "9", 300, "' }}", "The template cannot be rendered: the filter truncate supports"),
        ("{{ first_name", " ", 100, "}}", "A tag of the template has more than 100 spaces"),
        ("{{ '", "x", 1997, "'}}", "A tag of the template is longer than 2000 characters"),
    ],
)
def test_the_limits_of_a_tag(begin: str, repeated: str, limit: int, end: str, sentence: str) -> None:
    """A tag at a limit is accepted; one more raises an error that names the limit."""
    for count in (limit - 1, limit):
        assert check_template(begin + repeated * count + end) == []
    with pytest.raises(TemplateError) as caught:
        render(begin + repeated * (limit + 1) + end, ADA)
    assert caught.value.message.startswith(sentence)


def test_the_numbers_of_filters_are_limited() -> None:
    """A product with 300 digits is printed, and one with 301 is an error; text may have any number of digits."""
    assert render("{{ 10 | times: 1" + "0" * 298 + " }}", ADA) == "1" + "0" * 299
    with pytest.raises(TemplateError, match="numbers of at most 300 digits"):
        render("{{ 10 | times: 1" + "0" * 299 + " }}", ADA)
    digits = "9" * 5000
    assert render("{{ company | append: '!' }}", build_lead_variables({"company": digits}, {})) == f"{digits}!"


@pytest.mark.parametrize("template", ["{{" * 25_000, "{%" * 25_000, "x{% raw %}" * 5_000, "{{ first_name }}{{"])
def test_an_unclosed_tag_is_an_error(template: str) -> None:
    """An unclosed tag is refused before the engine parses it, which would take minutes."""
    with pytest.raises(TemplateError, match=r"not valid Liquid at character \d+: the tag is not closed\.$"):
        render(template, ADA)


def test_quoted_and_raw_text_has_no_operators() -> None:
    """Operators in quoted strings and between raw and endraw are not counted."""
    assert render('{{ role | default: "' + "and [" * 60 + '" }}', ADA) == "and [" * 60
    assert render("{% raw %}{{ " + "[" * 60 + "{% endraw %}{{ first_name }}", ADA) == "{{ " + "[" * 60 + "Ada"


def test_html_escapes_values_and_keeps_markup() -> None:
    """In HTML the markup of the template is kept, and the markup of values is escaped."""
    assert render("<b>{{ company }}</b>", ADA, html=True) == "<b>Engines &amp; Co</b>"
    assert is_html("<p>Hi</p>")
    assert not is_html("if 1 < 2 and 3 > 2")


def test_a_template_is_checked_for_unknown_variables_and_filters() -> None:
    """The variables of a template are its inputs without those it assigns; unknown variables and filters are errors."""
    template = "{% assign x = first_name %}{{ x }} {{ custom['Deal Stage'] }} {{ sender.name }}"
    assert find_variables(template) == {"first_name", "custom.deal_stage", "sender.name"}
    assert check_template(template) == []
    assert check_template(template, custom_names=["Deal stage"]) == []
    assert check_template("{{ unsubscribe_url }}", custom_names=[]) == []
    assert len(check_template(template, custom_names=["Other"])) == 1
    assert "frist_name" in check_template("{{ frist_name | default: 'x' }}")[0]
    assert "safe" in check_template("{{ first_name | safe }}")[0]
    assert check_template("{{ first_name")


def test_custom_keys_have_only_plain_characters() -> None:
    """The key of a custom field has only letters, digits and underscores."""
    assert [custom_key(name) for name in ("Deal Stage", "Größe (m²)", "ÉTAT", "部署", "Empty", "1")] == [
        "deal_stage",
        "grosse_m2",
        "etat",
        "field",
        "field_empty",
        "field_1",
    ]


hostile = st.text() | st.sampled_from([
    "{{ sender.name }}", "{% for i in (1..9) %}x{% endfor %}", "{{ 'a' | append: 'b' }}", "<script>alert(1)</script>",
    "\x00\x1b[2J", "\u202egpj", "a\r\nBcc: x@example.org", "{{", "}}", "{% endraw %}{{ sender.name }}", "&lt;b&gt;",
])  # fmt: skip


@given(first=hostile, company=hostile, note=hostile)
def test_values_are_never_evaluated(first: str, company: str, note: str) -> None:
    """The values of fields are printed without control characters, and are never evaluated as Liquid or markup."""
    variables = build_lead_variables(
        {"first_name": first, "company": company}, {"note": note}, sender_name="Secret Sender"
    )
    template = "A{{ first_name | default: '-' }}B{{ company | default: '-' }}C{{ custom.note | default: '-' }}D"
    cleaned = [str(variables["first_name"]), str(variables["company"]), dict(variables["custom"])["note"]]  # type: ignore[call-overload]  # reason: a nested mapping
    expected = [value if value.strip() else "-" for value in cleaned]
    assert render(template, variables) == "A{}B{}C{}D".format(*expected)
    html = render(template, variables, html=True)
    assert "<" not in html
    assert ">" not in html
    assert "\n" not in cleaned[0] + cleaned[1]


@given(st.text(alphabet="{}%|'\". abc_:[]()<>=\n-", max_size=60))
def test_any_template_renders_or_raises_a_template_error(template: str) -> None:
    """No template raises another error than TemplateError."""
    with suppress(TemplateError):
        render(template, ADA)
