from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.templates import TemplateError, check_template, custom_key, is_html, lead_variables, render, variables_of

ADA = lead_variables(
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
def test_fills_in(template: str, expected: str) -> None:
    """Values, defaults, conditions on blanks and custom fields by key or title render as an author expects."""
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
def test_a_blank_is_never_printed(template: str, name: str) -> None:
    """A variable without a value that would be printed is an error that names it, in text and in HTML."""
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
def test_the_sandbox_holds(template: str) -> None:
    """Broken syntax, what is not offered and what would exhaust the process all end in the one error."""
    with pytest.raises(TemplateError) as caught:
        render(template, ADA)
    assert caught.value.message.endswith((".", "…"))


@pytest.mark.parametrize(
    ("begin", "repeated", "most", "end", "sentence"),
    [
        ("{% if role", " or role", 50, " %}{% endif %}", "A tag of the template has more than 50 operators"),
        ("{% if role", " == role", 50, " %}{% endif %}", "A tag of the template has more than 50 operators"),
        ("{% if role", " contains role", 50, " %}{% endif %}", "A tag of the template has more than 50 operators"),
        ("{{ custom", "['a']", 50, " | default: 1 }}", "A tag of the template has more than 50 operators"),
        ("{{ ", "9", 300, " }}", "A number in the template has more than 300 digits"),
        ("{{ '", "9", 300, "' | plus: 0 }}", "The template cannot be rendered: the filter plus takes and makes"),
        ("{{ 0 | plus: '", "9", 300, "' }}", "The template cannot be rendered: the filter plus takes and makes"),
        ("{{ 'x' | truncate: '", "9", 300, "' }}", "The template cannot be rendered: the filter truncate takes"),
        ("{{ first_name", " ", 100, "}}", "A tag of the template has more than 100 spaces"),
        ("{{ '", "x", 1997, "'}}", "A tag of the template is longer than 2000 characters"),
    ],
)
def test_the_limits_of_a_tag(begin: str, repeated: str, most: int, end: str, sentence: str) -> None:
    """What is at a limit is rendered; with one more of the same it is refused with a sentence that names the limit."""
    for count in (most - 1, most):
        assert check_template(begin + repeated * count + end) == []
    with pytest.raises(TemplateError) as caught:
        render(begin + repeated * (most + 1) + end, ADA)
    assert caught.value.message.startswith(sentence)


def test_what_filters_make_of_numbers() -> None:
    """A product of 300 digits is printed, one of 301 is refused; text may have any number of digits."""
    assert render("{{ 10 | times: 1" + "0" * 298 + " }}", ADA) == "1" + "0" * 299
    with pytest.raises(TemplateError, match="numbers of at most 300 digits"):
        render("{{ 10 | times: 1" + "0" * 299 + " }}", ADA)
    digits = "9" * 5000
    assert render("{{ company | append: '!' }}", lead_variables({"company": digits}, {})) == f"{digits}!"


@pytest.mark.parametrize("template", ["{{" * 25_000, "{%" * 25_000, "x{% raw %}" * 5_000, "{{ first_name }}{{"])
def test_a_tag_without_end(template: str) -> None:
    """A tag that is not closed is refused before the engine looks for its end, which would take minutes."""
    with pytest.raises(TemplateError, match=r"not valid Liquid at character \d+: the tag is not closed\.$"):
        render(template, ADA)


def test_what_is_quoted_or_raw_is_text() -> None:
    """Neither quoted words nor what stands between raw and endraw count as operators."""
    assert render('{{ role | default: "' + "and [" * 60 + '" }}', ADA) == "and [" * 60
    assert render("{% raw %}{{ " + "[" * 60 + "{% endraw %}{{ first_name }}", ADA) == "{{ " + "[" * 60 + "Ada"


def test_html_escapes_values_and_keeps_markup() -> None:
    """In HTML the author's markup stays and a value's does not."""
    assert render("<b>{{ company }}</b>", ADA, html=True) == "<b>Engines &amp; Co</b>"
    assert is_html("<p>Hi</p>")
    assert not is_html("if 1 < 2 and 3 > 2")


def test_names_what_a_template_asks_for() -> None:
    """The variables of a template are its own inputs, not what it assigns; unknown ones and filters are told."""
    template = "{% assign x = first_name %}{{ x }} {{ custom['Deal Stage'] }} {{ sender.name }}"
    assert variables_of(template) == {"first_name", "custom.deal_stage", "sender.name"}
    assert check_template(template) == []
    assert check_template(template, custom_names=["Deal stage"]) == []
    assert check_template("{{ unsubscribe_url }}", custom_names=[]) == []
    assert len(check_template(template, custom_names=["Other"])) == 1
    assert "frist_name" in check_template("{{ frist_name | default: 'x' }}")[0]
    assert "safe" in check_template("{{ first_name | safe }}")[0]
    assert check_template("{{ first_name")


def test_custom_keys_are_plain() -> None:
    """A custom field's key is made of letters, digits and underscores, whatever its title."""
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
    """Whatever a lead's fields hold is printed, minus control characters, and never read as Liquid or markup."""
    variables = lead_variables({"first_name": first, "company": company}, {"note": note}, sender_name="Secret Sender")
    template = "A{{ first_name | default: '-' }}B{{ company | default: '-' }}C{{ custom.note | default: '-' }}D"
    shown = [str(variables["first_name"]), str(variables["company"]), dict(variables["custom"])["note"]]  # type: ignore[call-overload]  # reason: a nested mapping
    expected = [value if value.strip() else "-" for value in shown]
    assert render(template, variables) == "A{}B{}C{}D".format(*expected)
    html = render(template, variables, html=True)
    assert "<" not in html
    assert ">" not in html
    assert "\n" not in shown[0] + shown[1]


@given(st.text(alphabet="{}%|'\". abc_:[]()<>=\n-", max_size=60))
def test_any_template_renders_or_says_why(template: str) -> None:
    """No template text whatsoever raises anything but the one error."""
    with suppress(TemplateError):
        render(template, ADA)
