import pytest

from ai.template_checks import find_template_problems, locate


@pytest.mark.parametrize(
    ("template", "place", "words"),
    [
        ("Hi {{ first_name | default: \u201cthere\u201d }},", "Line 1, column 29", "curly quotation marks"),
        ("A\n<p>{{ first_name | default: &quot;x&quot; }}</p>", "Line 2, column 29", "an HTML entity"),
        ("{{&nbsp;first_name }}", "Line 1, column 3", "an HTML entity"),
        ("{{ <span>first_name</span> }}", "Line 1, column 4", "an HTML tag"),
        ("{{ first_name\u00a0| default: 'x'\u00a0}}", "Line 1, column 14", "a no-break or wide space"),
        ("{{ first\\\\_name }}", "Line 1, column 9", "a backslash"),
        ("Hi {\u200b{ first_name }}", "Line 1, column 4", "An invisible character stands between two braces"),
        ("Hi\n\n{{ first_name", "Line 3, column 1", "the tag is not closed"),
        ("Hi {{ first name }}", "Line 1, column 13", "not valid Liquid"),
        ("Hi {{ contact.first }}", "Line 1, column 7", "The variable contact.first does not exist."),
        ("Hi {{ First_Name }}", "Line 1, column 7", "Write first_name in lower case."),
        ("{{ first_name | default: there }}", "Line 1, column 26", "If “there” is text, put it in straight quotation"),
        ("{{ first_name | capitalise }}", "Line 1, column 17", "The filter capitalise does not exist."),
        ("Hi *|FNAME|*,", "Line 1, column 4", "“*|FNAME|*” looks like a placeholder"),
        ("Hi %FIRSTNAME%,", "Line 1, column 4", "looks like a placeholder"),
        ("{{ company }}\n [First Name]", "Line 2, column 2", "“[First Name]” looks like a placeholder"),
        ("Hi { first_name },", "Line 1, column 4", "Write variables in two braces"),
    ],
)
def test_a_fault_is_named_with_its_place_and_remedy(template: str, place: str, words: str) -> None:
    """What editors mangled, what Liquid does not know, and placeholders of other programs are found."""
    problems = find_template_problems(template.replace("\\\\", "\\"))
    assert any(problem.startswith(f"{place}: ") and words in problem for problem in problems), problems


@pytest.mark.parametrize(
    "template",
    [
        "",
        "Hi {{ first_name | default: 'there' }},",
        "Hi {{ first_name | default: '\u201cfriend\u201d' }},",
        "{{ first_name | default: '&quot;<b>' }}",
        "{% if custom.size > 10 and custom.size < 20 %}Big{% endif %}",
        "O'Neil & Sons <3, a < b, 50 % off {today}".replace("{today}", ""),
        "<style>p { color }</style><title>x</title><p style='color: red'>Hi</p>",
        "Hi {{first_name}}, [see below]",
    ],
)
def test_a_sound_template_has_no_problem(template: str) -> None:
    """Quotation marks and markup within texts, comparisons, HTML, and text that only looks like markup are accepted."""
    assert find_template_problems(template) == []


def test_places_are_counted_from_one() -> None:
    """The first character is in line 1, column 1; the one after a line break begins the next line."""
    assert [locate("ab\nc", position) for position in range(4)] == [
        "Line 1, column 1",
        "Line 1, column 2",
        "Line 1, column 3",
        "Line 2, column 1",
    ]


@pytest.mark.parametrize("part", ["{{ ", "<style", "<p", "{% if ", "{ a", "[", "{{ x }}", "}"])
def test_a_long_template_is_checked_in_linear_time(part: str) -> None:
    """A template of 50,000 characters of one kind is checked without waiting for the time limit of the test."""
    assert isinstance(find_template_problems((part * 50_000)[:50_000]), list)
