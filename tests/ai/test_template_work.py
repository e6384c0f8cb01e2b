"""That no template takes more work than allowed, however it is written."""

import pytest

from ai.errors import TemplateError
from ai.preview import render_preview
from ai.template_work import MAX_WORK, Work, WorkExceeded
from ai.templates import render
from ai.workflows.email_generation.state import EmailGenerationInput, LeadFacts, Sender

GROW = '{% assign a = "xy z" %}{% for i in (1..14) %}{% assign a = a | append: a %}{% endfor %}'
"""A variable with 65,536 characters."""
LIMIT = "exceeds the limits of the sandbox"
VARIABLES = {"first_name": "Ada"}


def loop(body: str) -> str:
    """Return a template that does something a thousand times with a long text."""
    return f"{GROW}{{% for i in (1..1000) %}}{body}{{% endfor %}}"


@pytest.mark.parametrize(
    "template",
    [
        loop('{% assign b = a | upcase | split: " " | join: "," %}'),
        loop("{% assign b = a | url_encode %}"),
        loop("{% assign b = a | strip_html %}"),
        loop('{% if a contains "q" %}{% endif %}'),
        loop("{% if a == a %}{% endif %}"),
        loop("{% case a %}{% when a %}{% endcase %}"),
        loop("{% capture b %}{{ a }}{% endcapture %}"),
        loop('{% assign b = a | split: "" %}{% if b contains "q" %}{% endif %}'),
        "{% for i in (1..1000) %}{% if first_name %}{% endif %}{% endfor %}" * 30,
        "".join(f"{{% assign a{number} = 1 %}}" for number in range(2_000)),
        "{% for i in (1..1001) limit: 1 %}{% endfor %}",
        "{% for i in (1..10000000000) limit: 1 offset: 9999999990 %}{% endfor %}",
        "{% for i in (1..100000000) reversed limit: 1 %}{% endfor %}",
        f"{{% for i in (1..{'9' * 200}) limit: 1 %}}{{% endfor %}}",
    ],
)
def test_a_template_that_needs_too_much_work_is_refused(template: str) -> None:
    """Loops, filters, comparisons, captures, assignments and ranges are counted, and end at the limit."""
    with pytest.raises(TemplateError, match=LIMIT):
        render(template, VARIABLES)


@pytest.mark.parametrize(
    "template",
    [
        '{% if (1..1000000000) contains "a" %}{% endif %}',
        "{% assign a = (1..1000000000) %}",
        "{{ (1..1000000000) | join }}",
        "{% case (1..1000000000) %}{% endcase %}",
    ],
)
def test_a_range_stands_in_a_loop_only(template: str) -> None:
    """A range outside a loop, which could be searched or joined without end, is refused before it is evaluated."""
    with pytest.raises(TemplateError, match="can only be used in a for tag"):
        render(template, VARIABLES)


def test_a_text_with_dots_is_no_range() -> None:
    """Two dots in a quoted text are no range."""
    assert render('{{ "wait.. " | append: first_name }}', VARIABLES) == "wait.. Ada"


def test_growing_numbers_end() -> None:
    """A product that grows in a loop is an error once it has too many digits."""
    with pytest.raises(TemplateError, match="numbers of at most"):
        render("{% assign n = 9 %}{% for i in (1..900) %}{% assign n = n | times: n %}{% endfor %}", VARIABLES)


@pytest.mark.parametrize("name", ["replace", "join"])
def test_a_filter_that_would_repeat_a_text_is_refused_before_it_runs(name: str) -> None:
    """A text that would be put many thousand times into the result is refused by its size alone."""
    arguments = {"replace": '"", a', "join": "a"}[name]
    start = f"{GROW}{{{{ a {'| split: ' + chr(34) * 2 if name == 'join' else ''}"
    with pytest.raises(TemplateError, match=f"the result of a {name} would be too long"):
        render(f"{start} | {name}: {arguments} }}}}", VARIABLES)


@pytest.mark.parametrize(("units", "is_enough"), [(1, True), (0, True), (-1, False)])
def test_the_last_unit_of_work(units: int, is_enough: bool) -> None:
    """All units of the limit may be used, and not one more."""
    work = Work()
    if is_enough:
        work.charge(MAX_WORK - units)
        return
    with pytest.raises(WorkExceeded):
        work.charge(MAX_WORK - units)


@pytest.mark.parametrize("size", [999, 1000])
def test_an_ordinary_loop_is_rendered(size: int) -> None:
    """A loop of up to a thousand iterations with a few tags is far from the limit."""
    template = f"{{% for i in (1..{size}) %}}{{{{ first_name }}}} {{% if i == 1 %}}!{{% endif %}}{{% endfor %}}"
    assert render(template, VARIABLES).count("Ada") == size


def test_tags_are_stripped_from_texts() -> None:
    """The filter strip_html leaves the text of elements that are displayed."""
    template = '{{ "<p>Dear <b>Ada</b><script>x()</script> & <!-- y -->co < 3" | strip_html }}'
    assert render(template, VARIABLES) == "Dear Ada & co < 3"
    assert render("{{ nil | strip_html }}|", VARIABLES) == "|"


def test_a_preview_with_many_missing_variables_has_one_limit() -> None:
    """A preview, which renders again for each missing variable, has the limit of a single rendering."""
    names = "".join(f"{{{{ custom.field_{number} }}}}" for number in range(60))
    costly = "{% for i in (1..500) %}{% if first_name %}{% endif %}{% endfor %}"
    request = EmailGenerationInput(
        subject_template="Hello",
        body_template=costly + names,
        lead=LeadFacts(email="ada@lead.example", first_name="Ada"),
        sender=Sender(name="Kim", email="kim@acme.example"),
        workspace_name="Acme",
    )
    with pytest.raises(TemplateError, match=LIMIT):
        render_preview(request)
    few = request.model_copy(update={"body_template": costly + "{{ custom.field_0 }}{{ custom.field_1 }}"})
    assert render_preview(few).missing == ["custom.field_0", "custom.field_1"]
