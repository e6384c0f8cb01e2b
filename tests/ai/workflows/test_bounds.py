"""Tests each limit of the workflows below, at and above its value."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from ai import prompts
from ai.registry import CSV_MAPPING, INTENT_CLASSIFICATION
from ai.run import RunContext, run
from ai.templates import TemplateError, render
from ai.workflows.csv_mapping.columns import read_columns
from ai.workflows.csv_mapping.scoring import find_samples
from ai.workflows.csv_mapping.state import CsvMappingInput, Target
from ai.workflows.email_generation import material
from ai.workflows.email_generation.checks import find_problems
from ai.workflows.email_generation.state import Candidate, EarlierMessage, EmailGenerationInput, LeadFacts
from ai.workflows.intent_classification.dates import find_return_date
from ai.workflows.intent_classification.rules import classify_personal
from ai.workflows.intent_classification.state import Intent, IntentInput, IntentOutput
from tests.ai.stub_openai import Reply, StubOpenAI

FRIDAY = date(2026, 11, 20)
LEAP_DAY = date(2028, 2, 29)
NEW_YEARS_EVE = date(2026, 12, 31)


@pytest.mark.parametrize(
    ("text", "received", "day"),
    [
        # Today, in each format; a date before it is past, unless it is just after the turn of the year.
        ("back on 20 November", FRIDAY, FRIDAY),
        ("back on November 20", FRIDAY, FRIDAY),
        ("back on 20.11.", FRIDAY, FRIDAY),
        ("back on 2026-11-20", FRIDAY, FRIDAY),
        ("back on 20/11/26", FRIDAY, FRIDAY),
        ("back on 19 November", FRIDAY, None),
        ("back on 20 February", FRIDAY, date(2027, 2, 20)),
        ("back on 21 February", FRIDAY, None),
        ("back on 21 November", FRIDAY, date(2026, 11, 21)),
        ("back on 2026-11-19", FRIDAY, None),
        # The last accepted date is 366 days ahead.
        ("back on 2027-11-20", FRIDAY, date(2027, 11, 20)),
        ("back on 2027-11-21", FRIDAY, date(2027, 11, 21)),
        ("back on 2027-11-22", FRIDAY, None),
        # A weekday is one of the next seven days, and never today.
        ("back on Thursday", FRIDAY, date(2026, 11, 26)),
        ("back on Friday", FRIDAY, date(2026, 11, 27)),
        ("back on Saturday", FRIDAY, date(2026, 11, 21)),
        # The ends of months and years.
        ("back tomorrow", NEW_YEARS_EVE, date(2027, 1, 1)),
        ("back on 31 December", NEW_YEARS_EVE, NEW_YEARS_EVE),
        ("back on 1 January", NEW_YEARS_EVE, date(2027, 1, 1)),
        ("back on 30 December", NEW_YEARS_EVE, None),
        ("back on 2 April", NEW_YEARS_EVE, date(2027, 4, 2)),
        ("back on 3 April", NEW_YEARS_EVE, None),
        ("back on 29 February", LEAP_DAY, LEAP_DAY),
        ("back on 28 February", LEAP_DAY, None),
        ("back tomorrow", LEAP_DAY, date(2028, 3, 1)),
        ("back on 29 February 2027", FRIDAY, None),
        # If the second number is above 12, the first is the month.
        ("back on 12/12/2026", FRIDAY, date(2026, 12, 12)),
        ("back on 12/13/2026", FRIDAY, date(2026, 12, 13)),
        ("back on 13/12/2026", FRIDAY, date(2026, 12, 13)),
        ("back on 13/13/2026", FRIDAY, None),
    ],
)
def test_the_limits_of_a_return_date(text: str, received: date, day: date | None) -> None:
    """The day of receipt is a return date; the day before and a day more than 366 days ahead are not."""
    assert find_return_date(text, received) == day


@pytest.mark.parametrize(("between", "day"), [(13, None), (14, None), (15, date(2026, 11, 27))])
def test_a_weekday_belongs_to_a_date_within_fourteen_characters(between: int, day: date | None) -> None:
    """A weekday up to fourteen characters before a date must be its own; farther away it is another date."""
    assert find_return_date(f"back on Friday{',' * (between - 1)} 30 November", FRIDAY) == day
    assert find_return_date(f"back on Monday{',' * (between - 1)} 30 November", FRIDAY) == date(2026, 11, 30)


@pytest.mark.parametrize(("sentence", "is_read"), [(59, True), (60, True), (61, False)])
def test_only_sixty_sentences_are_read(sentence: int, is_read: bool) -> None:
    """A date in the sixtieth sentence is found; a date in the next one is not."""
    text = "Hm! " * (sentence - 1) + "Back on 1 December"
    assert find_return_date(text, FRIDAY) == (date(2026, 12, 1) if is_read else None)


@pytest.mark.parametrize(("end", "is_read"), [(399, True), (400, True), (401, False)])
def test_only_four_hundred_characters_of_a_sentence_are_read(end: int, is_read: bool) -> None:
    """A date that ends at character 400 is found; a date that ends after it is not."""
    phrase = "back 2026-12-01"
    assert find_return_date("x" * (end - len(phrase) - 1) + f" {phrase}", FRIDAY) == (
        date(2026, 12, 1) if is_read else None
    )


@pytest.mark.parametrize(
    ("subject", "body", "is_unsubscribe"),
    [
        ("Re: unsubscribe", "one two three", True),
        ("Re: unsubscribe", "one two three four", True),
        ("Re: unsubscribe", "one two three four five", False),
        ("unsubscribe", "one two three four five", True),
    ],
)
def test_the_subject_of_a_reply_counts_with_a_short_body(subject: str, body: str, is_unsubscribe: bool) -> None:
    """The subject of a reply counts with a body of up to four words; another subject always counts."""
    verdict, _ = classify_personal(body, subject, FRIDAY)
    assert (verdict is not None and verdict.label is Intent.UNSUBSCRIBE) is is_unsubscribe


UNCLEAR, UNCERTAIN = "Hmm. Well, well.", "Where would that be?"


async def classify(context: RunContext, text: str) -> IntentOutput:
    """Classify a personal reply."""
    received = datetime(2026, 11, 20, 9, tzinfo=UTC)
    request = IntentInput(headers={}, subject="Re: A question", text=text, received_at=received)
    return await run(INTENT_CLASSIFICATION, request, context=context)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("label", "confidence", "abstained", "expected"),
    [
        *(("interested", 0.54, True, 0.54), ("interested", 0.55, False, 0.55), ("interested", 0.56, False, 0.56)),
        *(("interested", 1.0, False, 1.0), ("interested", 1.01, True, 0.0), ("interested", -0.01, True, 0.0)),
        *(("interested", 0.0, True, 0.0), ("out_of_office", 1.0, True, 0.5), ("out_of_office", 0.49, True, 0.49)),
        ("bounce", 1.0, True, 0.5),
    ],
)
async def test_an_answer_needs_a_confidence_of_0_55(
    stub: StubOpenAI, by_model: RunContext, label: str, confidence: float, abstained: bool, expected: float
) -> None:
    """Below 0.55 a user reviews the reply; a confidence outside 0 to 1 is 0; a machine intent gets at most 0.5."""
    stub.set_replies(Reply({"label": label, "confidence": confidence}))
    result = await classify(by_model, UNCLEAR)
    assert (result.abstained, result.confidence) == (abstained, expected)
    assert result.decided_by == ("abstain" if abstained else "model")


@pytest.mark.anyio
@pytest.mark.parametrize(("confidence", "decided_by"), [(0.64, "rules"), (0.65, "model"), (0.66, "model")])
async def test_the_rules_win_only_with_a_higher_confidence(
    stub: StubOpenAI, by_model: RunContext, confidence: float, decided_by: str
) -> None:
    """An answer replaces the result of the rules with confidence 0.65 if its own confidence is at least the same."""
    stub.set_replies(Reply({"label": "interested", "confidence": confidence}))
    result = await classify(by_model, UNCERTAIN)
    assert (result.decided_by, result.confidence) == (decided_by, max(confidence, 0.65))


@pytest.mark.anyio
async def test_a_model_gets_six_thousand_characters(stub: StubOpenAI, by_model: RunContext) -> None:
    """The model gets the first 6,000 characters of a longer reply."""
    stub.set_replies(Reply({"label": "other", "confidence": 0.9}))
    await classify(by_model, "\n".join("y" * 99 for _ in range(61)))
    assert stub.requests[0]["input"].count("y") == 5_940 + stub.requests[0]["input"].count("reply")
    assert "y" * 99 in stub.requests[0]["input"]


REQUEST = EmailGenerationInput(
    subject_template="Quieter engines", body_template="Hi {{ first_name }}", lead=LeadFacts(first_name="Ada")
)


def check(subject: str, text: str, author: str) -> str:
    """Return the problems of a text."""
    candidate = Candidate.model_validate({"subject": subject, "text": text, "author": author})
    return " ".join(find_problems(candidate, REQUEST))


@pytest.mark.parametrize(
    ("author", "part", "limit"),
    [("model", "subject", 100), ("template", "subject", 150), ("model", "body", 4_000), ("template", "body", 50_000)],
)
def test_subject_and_body_have_a_maximum_length(author: str, part: str, limit: int) -> None:
    """A text with the maximum length passes; one more character is a problem that names both numbers."""
    for length in (limit - 1, limit, limit + 1):
        text = "x" * length
        problems = check(text, "Hello", author) if part == "subject" else check("Hello", text, author)
        sentence = f"The {part} has {length} characters; at most {limit} are allowed."
        assert (sentence in problems) is (length > limit)


@pytest.mark.parametrize(("words", "author", "is_refused"), [
    (259, "model", False), (260, "model", False), (261, "model", True), (261, "template", False),
])  # fmt: skip
def test_a_model_may_write_260_words(words: int, author: str, is_refused: bool) -> None:
    """A model may write 260 words; a template may have more."""
    sentence = f"The body has {words} words; at most 260 are allowed."
    assert (sentence in check("Hello", "we " * words, author)) is is_refused


@pytest.mark.parametrize(("words", "is_leaked"), [(5, False), (6, True), (7, True)])
@pytest.mark.parametrize("prompt", ["write", "rewrite"])
@pytest.mark.parametrize("first", [True, False])
def test_six_words_of_the_instructions_are_a_leak(words: int, is_leaked: bool, prompt: str, first: bool) -> None:
    """The first or last six words of a prompt are found at the end of a text; five words are not."""
    instructions = re.findall(r"[^\W_]+", prompts.load("email_generation", prompt).text)
    copied_words = instructions[:words] if first else instructions[-words:]
    problems = check("Hello", " ".join(["zebra", *copied_words]), "model")
    assert ("repeats the instructions" in problems) is is_leaked


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("[a]", False),
        ("[ab]", True),
        (f"[{'a' * 60}]", True),
        (f"[{'a' * 61}]", False),
        ("We say ABCDEF.", False),
        ("We say ABCDEFG.", True),
        ("We say ABC DE.", False),
        ("We say ABCD EF.", True),
        ("We say ABCD E.", False),
    ],
)
def test_the_limits_of_brackets_and_capitals(text: str, is_refused: bool) -> None:
    """Two to sixty characters in brackets look like a placeholder; seven capitals, or four and two, are a problem."""
    problems = check("Hello", text, "model")
    assert ("looks like a placeholder" in problems or "in capitals" in problems) is is_refused


@pytest.mark.parametrize(
    ("template", "values", "is_rendered"),
    [
        ("x" * 50_000, {}, True),
        ("x" * 50_001, {}, False),
        ("{% for i in (1..999) %}x{% endfor %}", {}, True),
        ("{% for i in (1..1000) %}x{% endfor %}", {}, True),
        ("{% for i in (1..1001) %}x{% endfor %}", {}, False),
        ("{{ role }}", {"role": "x" * 199_999}, True),
        ("{{ role }}", {"role": "x" * 200_000}, True),
        ("{{ role }}", {"role": "x" * 200_001}, False),
        ("{{ role }}", {"role": "é" * 100_000}, True),
        ("{{ role }}", {"role": "é" * 100_001}, False),
        ("{{ role | append: 'y' | slice: 0 }}", {"role": "x" * 199_999}, True),
        ("{{ role | append: 'y' | slice: 0 }}", {"role": "x" * 200_000}, False),
        ("{{ role | replace: 'x', 'abcdefghij' | slice: 0 }}", {"role": "x" * 20_000}, True),
        ("{{ role | replace: 'q', 'abcdefghij' | slice: 0 }}", {"role": "x" * 199_999}, True),
        ("{{ role | replace: 'q', 'abcdefghijk' | slice: 0 }}", {"role": "x" * 199_999}, False),
    ],
)
def test_the_limits_of_a_template(template: str, values: dict[str, object], is_rendered: bool) -> None:
    """Characters, iterations, output bytes and the results of filters have limits; a template above one is refused."""
    if is_rendered:
        assert render(template, values)
        return
    with pytest.raises(TemplateError):
        render(template, values)


@pytest.mark.parametrize("count", [9, 10, 11])
def test_a_model_gets_the_last_ten_messages(count: int) -> None:
    """The oldest of eleven messages is left out; subjects and texts are cut at 300 and 3,000 characters."""
    messages = [
        EarlierMessage(direction="sent", subject=f"{number}" + "s" * 300, text=f"{number}" + "t" * 3_000)
        for number in range(count)
    ]
    model_messages = material.build_model_input(REQUEST.model_copy(update={"earlier_messages": messages}))[
        "earlier_messages"
    ]
    assert isinstance(model_messages, list)
    expected = [f"{number}" for number in range(count)][-10:]
    assert [message["subject"] for message in model_messages] == [(name + "s" * 300)[:300] for name in expected]
    assert [message["text"] for message in model_messages] == [(name + "t" * 3_000)[:3_000] for name in expected]


@pytest.mark.parametrize(
    ("columns", "rows"), [(1, 200), (99, 200), (100, 200), (101, 198), (499, 40), (500, 40), (501, 40)]
)
def test_a_wide_file_has_fewer_sample_rows(columns: int, rows: int) -> None:
    """Up to 100 columns have 200 sample rows; wider files have 20,000 cells, and at least 40 rows."""
    (first, *_) = read_columns(["h"] * columns, [["v"] * columns for _ in range(250)])
    assert len(first.cells) == rows
    assert [len(cell.cells[0]) for cell in read_columns(["h"], [["v" * 201]])] == [200]


@pytest.mark.parametrize("values", [2, 3, 4])
def test_a_column_shows_three_values(values: int) -> None:
    """A column shows its first three different values."""
    cells = [f"v{number}" for number in range(values)]
    (column,) = read_columns(["h"], [[cell] for cell in [cells[0], *cells]])
    assert find_samples(column, Target.CUSTOM) == tuple(cells[:3])


@pytest.mark.anyio
@pytest.mark.parametrize(("confidence", "expected"), [(-0.5, 0.0), (0.0, 0.0), (0.89, 0.89), (0.9, 0.9), (0.91, 0.9)])
async def test_the_confidence_of_a_model_is_limited(
    stub: StubOpenAI, by_model: RunContext, confidence: float, expected: float
) -> None:
    """The model's confidence in a column is limited to 0 to 0.9."""
    stub.set_replies(Reply({"columns": [{"position": 1, "target": "role", "confidence": confidence}]}))
    file = CsvMappingInput(headers=["Email", "Zzz"], samples=[["a@x-co.de", "Einkauf"]])
    output = await run(CSV_MAPPING, file, context=by_model)
    assert output.columns[1].confidence == expected


@pytest.mark.anyio
async def test_a_model_gets_eight_short_values_of_a_column(stub: StubOpenAI, by_model: RunContext) -> None:
    """The model gets the first eight different values, and the first 80 characters of each value and header."""
    stub.set_replies(Reply({"columns": []}))
    words = ["q" * 81, "red", "blue", "green", "mauve", "teal", "pink", "ochre", "lilac"]
    rows = [["a@x-co.de", word] for word in [words[1], *words]]
    await run(CSV_MAPPING, CsvMappingInput(headers=["Email", "Z" * 81], samples=rows), context=by_model)
    model_input = stub.requests[0]["input"]
    assert [word for word in words[1:] if f'"{word}"' in model_input] == words[1:8]
    assert re.findall("qq+", model_input) == ["q" * 80]
    assert re.findall("ZZ+", model_input) == ["Z" * 80]


def test_a_return_date_is_at_most_366_days_ahead_in_every_month() -> None:
    """From days in each month, a date 366 days ahead is found and one 367 days ahead is not."""
    for ahead in range(0, 366, 29):
        received = FRIDAY + timedelta(days=ahead)
        assert find_return_date(f"back on {received + timedelta(days=366)}", received) == received + timedelta(days=366)
        assert find_return_date(f"back on {received + timedelta(days=367)}", received) is None
