"""Each bound of the workflows, one below, at it and one above; days equal to today; the first and the last."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from ai import prompts
from ai.registry import CSV_MAPPING, INTENT_CLASSIFICATION
from ai.run import RunContext, run
from ai.templates import TemplateError, render
from ai.workflows.csv_mapping.columns import columns_of
from ai.workflows.csv_mapping.samples import convincing
from ai.workflows.csv_mapping.state import CsvMappingInput, Target
from ai.workflows.email_generation import material
from ai.workflows.email_generation.checks import problems_of
from ai.workflows.email_generation.state import Candidate, EarlierMessage, EmailGenerationInput, LeadFacts
from ai.workflows.intent_classification.dates import return_date
from ai.workflows.intent_classification.rules import judge_person
from ai.workflows.intent_classification.state import Intent, IntentInput, IntentOutput
from tests.ai.stub_openai import Reply, StubOpenAI

FRIDAY = date(2026, 11, 20)
LEAP_DAY = date(2028, 2, 29)
NEW_YEARS_EVE = date(2026, 12, 31)


@pytest.mark.parametrize(
    ("text", "received", "day"),
    [
        # Today, in each form that names a day; the day before it without a year is next year's.
        ("back on 20 November", FRIDAY, FRIDAY),
        ("back on November 20", FRIDAY, FRIDAY),
        ("back on 20.11.", FRIDAY, FRIDAY),
        ("back on 2026-11-20", FRIDAY, FRIDAY),
        ("back on 20/11/26", FRIDAY, FRIDAY),
        ("back on 19 November", FRIDAY, date(2027, 11, 19)),
        ("back on 21 November", FRIDAY, date(2026, 11, 21)),
        ("back on 2026-11-19", FRIDAY, None),
        # The farthest day is 366 days ahead.
        ("back on 2027-11-20", FRIDAY, date(2027, 11, 20)),
        ("back on 2027-11-21", FRIDAY, date(2027, 11, 21)),
        ("back on 2027-11-22", FRIDAY, None),
        # A weekday is one of the next seven days, never today.
        ("back on Thursday", FRIDAY, date(2026, 11, 26)),
        ("back on Friday", FRIDAY, date(2026, 11, 27)),
        ("back on Saturday", FRIDAY, date(2026, 11, 21)),
        # Ends of months and years.
        ("back tomorrow", NEW_YEARS_EVE, date(2027, 1, 1)),
        ("back on 31 December", NEW_YEARS_EVE, NEW_YEARS_EVE),
        ("back on 1 January", NEW_YEARS_EVE, date(2027, 1, 1)),
        ("back on 30 December", NEW_YEARS_EVE, date(2027, 12, 30)),
        ("back on 29 February", LEAP_DAY, LEAP_DAY),
        ("back on 28 February", LEAP_DAY, date(2029, 2, 28)),
        ("back tomorrow", LEAP_DAY, date(2028, 3, 1)),
        ("back on 29 February 2027", FRIDAY, None),
        # A second number above 12 is no month, so the first one is.
        ("back on 12/12/2026", FRIDAY, date(2026, 12, 12)),
        ("back on 12/13/2026", FRIDAY, date(2026, 12, 13)),
        ("back on 13/12/2026", FRIDAY, date(2026, 12, 13)),
        ("back on 13/13/2026", FRIDAY, None),
    ],
)
def test_a_day_of_return_at_each_bound(text: str, received: date, day: date | None) -> None:
    """The day of receipt counts as a day of return, the day before does not, nor one more than 366 days ahead."""
    assert return_date(text, received) == day


@pytest.mark.parametrize(("between", "day"), [(8, date(2026, 11, 30)), (9, date(2026, 11, 27))])
def test_a_weekday_names_its_date_within_eight_characters(between: int, day: date) -> None:
    """A weekday up to eight characters before a date is that date; one farther away is a day of its own."""
    assert return_date(f"back on Friday{',' * (between - 1)} 30 November", FRIDAY) == day


@pytest.mark.parametrize(("sentence", "is_read"), [(59, True), (60, True), (61, False)])
def test_sixty_sentences_are_read(sentence: int, is_read: bool) -> None:
    """A day in the sixtieth sentence is found, one in the sentence after it is not."""
    text = "Hm! " * (sentence - 1) + "Back on 1 December"
    assert return_date(text, FRIDAY) == (date(2026, 12, 1) if is_read else None)


@pytest.mark.parametrize(("end", "is_read"), [(399, True), (400, True), (401, False)])
def test_four_hundred_characters_of_a_sentence_are_read(end: int, is_read: bool) -> None:
    """A day that ends with the four hundredth character is found, one that ends after it is not."""
    said = "back 2026-12-01"
    assert return_date("x" * (end - len(said) - 1) + f" {said}", FRIDAY) == (date(2026, 12, 1) if is_read else None)


@pytest.mark.parametrize(
    ("subject", "body", "is_unsubscribe"),
    [
        ("Re: unsubscribe", "one two three", True),
        ("Re: unsubscribe", "one two three four", True),
        ("Re: unsubscribe", "one two three four five", False),
        ("unsubscribe", "one two three four five", True),
    ],
)
def test_a_subject_that_was_answered_counts_beside_four_words(subject: str, body: str, is_unsubscribe: bool) -> None:
    """An answered subject counts beside a body of up to four words; a subject of the sender's own always counts."""
    verdict, _ = judge_person(body, subject, FRIDAY)
    assert (verdict is not None and verdict.label is Intent.UNSUBSCRIBE) is is_unsubscribe


OPEN, HALF_OPEN = "Hmm. Well, well.", "Where would that be?"


async def classified(context: RunContext, text: str) -> IntentOutput:
    """Classify a reply of a person."""
    received = datetime(2026, 11, 20, 9, tzinfo=UTC)
    request = IntentInput(headers={}, subject="Re: A question", text=text, received_at=received)
    return await run(INTENT_CLASSIFICATION, request, context=context)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("label", "confidence", "abstained", "believed"),
    [
        *(("interested", 0.54, True, 0.54), ("interested", 0.55, False, 0.55), ("interested", 0.56, False, 0.56)),
        *(("interested", 1.0, False, 1.0), ("interested", 1.01, True, 0.0), ("interested", -0.01, True, 0.0)),
        *(("interested", 0.0, True, 0.0), ("out_of_office", 1.0, True, 0.5), ("out_of_office", 0.49, True, 0.49)),
        ("bounce", 1.0, True, 0.5),
    ],
)
async def test_an_answer_counts_from_fifty_five_hundredths(
    stub: StubOpenAI, by_model: RunContext, label: str, confidence: float, abstained: bool, believed: float
) -> None:
    """Below 0.55 a person is asked; a confidence outside 0 to 1 is 0; that a machine wrote counts 0.5 at most."""
    stub.will(Reply({"label": label, "confidence": confidence}))
    result = await classified(by_model, OPEN)
    assert (result.abstained, result.confidence) == (abstained, believed)
    assert result.decided_by == ("abstain" if abstained else "model")


@pytest.mark.anyio
@pytest.mark.parametrize(("confidence", "decided_by"), [(0.64, "rules"), (0.65, "model"), (0.66, "model")])
async def test_the_rules_stand_only_where_they_are_surer(
    stub: StubOpenAI, by_model: RunContext, confidence: float, decided_by: str
) -> None:
    """Where the rules are sure to 0.65, an answer as sure as they are replaces theirs; one less sure does not."""
    stub.will(Reply({"label": "interested", "confidence": confidence}))
    result = await classified(by_model, HALF_OPEN)
    assert (result.decided_by, result.confidence) == (decided_by, max(confidence, 0.65))


@pytest.mark.anyio
async def test_a_model_is_shown_six_thousand_characters(stub: StubOpenAI, by_model: RunContext) -> None:
    """Of a longer reply the model is asked about its first 6,000 characters."""
    stub.will(Reply({"label": "other", "confidence": 0.9}))
    await classified(by_model, "\n".join("y" * 99 for _ in range(61)))
    assert stub.requests[0]["input"].count("y") == 5_940 + stub.requests[0]["input"].count("reply")
    assert "y" * 99 in stub.requests[0]["input"]


REQUEST = EmailGenerationInput(
    subject_template="Quieter engines", body_template="Hi {{ first_name }}", lead=LeadFacts(first_name="Ada")
)


def said_of(subject: str, text: str, author: str) -> str:
    """What the checks say of a text."""
    candidate = Candidate.model_validate({"subject": subject, "text": text, "author": author})
    return " ".join(problems_of(candidate, REQUEST))


@pytest.mark.parametrize(
    ("author", "part", "most"),
    [("model", "subject", 100), ("template", "subject", 150), ("model", "body", 4_000), ("template", "body", 50_000)],
)
def test_a_text_is_as_long_as_it_may_be(author: str, part: str, most: int) -> None:
    """One character less than the most and the most pass; one more is said with both numbers."""
    for length in (most - 1, most, most + 1):
        text = "x" * length
        said = said_of(text, "Hello", author) if part == "subject" else said_of("Hello", text, author)
        sentence = f"The {part} has {length} characters; at most {most} are allowed."
        assert (sentence in said) is (length > most)


@pytest.mark.parametrize(("words", "author", "is_refused"), [
    (259, "model", False), (260, "model", False), (261, "model", True), (261, "template", False),
])  # fmt: skip
def test_a_model_writes_up_to_260_words(words: int, author: str, is_refused: bool) -> None:
    """The 261st word is one too many for a model, and none of the checks' business in a template."""
    sentence = f"The body has {words} words; at most 260 are allowed."
    assert (sentence in said_of("Hello", "we " * words, author)) is is_refused


@pytest.mark.parametrize(("words", "is_leaked"), [(5, False), (6, True), (7, True)])
@pytest.mark.parametrize("prompt", ["write", "rewrite"])
@pytest.mark.parametrize("first", [True, False])
def test_six_words_of_the_instructions_are_a_leak(words: int, is_leaked: bool, prompt: str, first: bool) -> None:
    """Six words in a row, the first or the last of either prompt, are found at the end of a text; five are not."""
    instructions = re.findall(r"[^\W_]+", prompts.load("email_generation", prompt).text)
    run_of_words = instructions[:words] if first else instructions[-words:]
    said = said_of("Hello", " ".join(["zebra", *run_of_words]), "model")
    assert ("repeats the instructions" in said) is is_leaked


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
def test_brackets_and_capitals_at_each_length(text: str, is_refused: bool) -> None:
    """Two to sixty characters in brackets look like a placeholder; seven capitals, or four and two, shout."""
    said = said_of("Hello", text, "model")
    assert ("looks like a placeholder" in said or "shouts" in said) is is_refused


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
def test_a_template_at_each_bound(template: str, values: dict[str, object], is_rendered: bool) -> None:
    """Characters, loops, bytes of the output and of what a filter makes: the most is rendered, one more is not."""
    if is_rendered:
        assert render(template, values)
        return
    with pytest.raises(TemplateError):
        render(template, values)


@pytest.mark.parametrize("count", [9, 10, 11])
def test_a_model_is_shown_the_last_ten_messages(count: int) -> None:
    """Of eleven earlier messages the oldest is left out; subjects and texts are cut at 300 and 3,000 characters."""
    messages = [
        EarlierMessage(direction="sent", subject=f"{number}" + "s" * 300, text=f"{number}" + "t" * 3_000)
        for number in range(count)
    ]
    shown = material.shown(REQUEST.model_copy(update={"earlier_messages": messages}))["earlier_messages"]
    assert isinstance(shown, list)
    expected = [f"{number}" for number in range(count)][-10:]
    assert [one["subject"] for one in shown] == [(name + "s" * 300)[:300] for name in expected]
    assert [one["text"] for one in shown] == [(name + "t" * 3_000)[:3_000] for name in expected]


@pytest.mark.parametrize(
    ("columns", "rows"), [(1, 200), (99, 200), (100, 200), (101, 198), (499, 40), (500, 40), (501, 40)]
)
def test_a_wide_file_shows_fewer_rows(columns: int, rows: int) -> None:
    """Up to 100 columns show 200 rows; wider ones as many as make 20,000 cells, and never fewer than 40."""
    (first, *_) = columns_of(["h"] * columns, [["v"] * columns for _ in range(250)])
    assert len(first.cells) == rows
    assert [len(cell.cells[0]) for cell in columns_of(["h"], [["v" * 201]])] == [200]


@pytest.mark.parametrize("values", [2, 3, 4])
def test_three_values_are_shown(values: int) -> None:
    """The first three different values are shown, a repeated one once."""
    cells = [f"v{number}" for number in range(values)]
    (column,) = columns_of(["h"], [[cell] for cell in [cells[0], *cells]])
    assert convincing(column, Target.CUSTOM) == tuple(cells[:3])


@pytest.mark.anyio
@pytest.mark.parametrize(("confidence", "believed"), [(-0.5, 0.0), (0.0, 0.0), (0.89, 0.89), (0.9, 0.9), (0.91, 0.9)])
async def test_a_model_is_never_surer_than_nine_tenths(
    stub: StubOpenAI, by_model: RunContext, confidence: float, believed: float
) -> None:
    """The model's confidence in a column is taken between 0 and 0.9."""
    stub.will(Reply({"columns": [{"position": 1, "target": "role", "confidence": confidence}]}))
    file = CsvMappingInput(headers=["Email", "Zzz"], samples=[["a@x-co.de", "Einkauf"]])
    output = await run(CSV_MAPPING, file, context=by_model)
    assert output.columns[1].confidence == believed


@pytest.mark.anyio
async def test_a_model_is_shown_eight_short_values_of_a_column(stub: StubOpenAI, by_model: RunContext) -> None:
    """Of nine different values the first eight are shown, of each value and header the first 80 characters."""
    stub.will(Reply({"columns": []}))
    words = ["q" * 81, "red", "blue", "green", "mauve", "teal", "pink", "ochre", "lilac"]
    rows = [["a@x-co.de", word] for word in [words[1], *words]]
    await run(CSV_MAPPING, CsvMappingInput(headers=["Email", "Z" * 81], samples=rows), context=by_model)
    shown = stub.requests[0]["input"]
    assert [word for word in words[1:] if f'"{word}"' in shown] == words[1:8]
    assert re.findall("qq+", shown) == ["q" * 80]
    assert re.findall("ZZ+", shown) == ["Z" * 80]


def test_a_year_from_today_is_within_reach_in_every_month() -> None:
    """From each day of a year, a year ahead is found and 367 days ahead are not."""
    for ahead in range(0, 366, 29):
        received = FRIDAY + timedelta(days=ahead)
        assert return_date(f"back on {received + timedelta(days=366)}", received) == received + timedelta(days=366)
        assert return_date(f"back on {received + timedelta(days=367)}", received) is None
