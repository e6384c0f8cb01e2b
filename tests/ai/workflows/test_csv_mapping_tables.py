"""The tables of words and rules: what stands in them can be met, and a mistake in them is found when they are read."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from ai.workflows.csv_mapping.columns import read_columns
from ai.workflows.csv_mapping.rules import Rule, decide
from ai.workflows.csv_mapping.tables import read_table
from domain.words import fold_words

DOMAINS = {"free_mail"}


def lists(table: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Give each list of words of a table, however deep it stands."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from lists(value)
        elif isinstance(value, list) and isinstance(value[0], str):
            yield name, value


@pytest.mark.parametrize("name", ["headers", "values", "addresses", "given_names"])
def test_words_are_written_as_they_are_looked_up(name: str) -> None:
    """A word with an accent, a capital or a mark would never be met, because headers and values are folded."""
    words = {word for group, listed in lists(read_table(name)) if group not in DOMAINS for word in listed}
    assert words
    assert {word for word in words if fold_words(word) != word} == set()


@pytest.mark.parametrize("table", ["anywhere", "alone"])
def test_a_phrase_has_one_topic(table: str) -> None:
    """No phrase of a header stands under two topics, of which one would be lost."""
    counts = Counter(phrase for phrases in read_table("headers")[table].values() for phrase in phrases)
    assert [phrase for phrase, count in counts.items() if count > 1] == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"topics": ["firm"]},
        {"at_least": {"emial": 0.5}},
        {"below": {"size+emial": 0.5}},
        {"atleast": {"email": 0.5}},
        {"target": "postcode"},
        {"confidence": []},
        {"confidence": [1.5]},
        {"decided_by": "chance"},
    ],
)
def test_a_rule_about_something_unknown_is_refused(mistake: dict[str, Any]) -> None:
    """A mistyped topic, measure, target or key fails when the table is read, not at the first file that meets it."""
    Rule.model_validate({"target": "email", "confidence": [0.5]})
    with pytest.raises(ValidationError):
        Rule.model_validate({"target": "email", "confidence": [0.5], **mistake})


@pytest.mark.parametrize("values", [[], ["blue"], ["1", "2", "3"], ["x" * 100], ["a@b.example"]])
def test_the_last_rules_decide_on_any_column(values: list[str]) -> None:
    """Whatever its header and values are, a column that nothing else decides has a guess in the end."""
    (column,) = read_columns(["Zebra"], [[value] for value in values])
    assert decide("rest", column, set()) is not None
