"""The nodes of CSV mapping: parse headers, analyse samples, ask the model about unclear columns, suggest mappings.

All nodes are coroutines, because LangGraph runs plain functions in threads, which takes longer than most nodes.
"""

from typing import Literal, TypedDict

from langgraph.runtime import Runtime

from ai import prompts
from ai.cleaning import one_line
from ai.context import NO_MODEL, NodeContext
from ai.errors import ModelUnavailable
from ai.workflows.csv_mapping.columns import Column, read_columns
from ai.workflows.csv_mapping.conflicts import resolve_conflicts
from ai.workflows.csv_mapping.scoring import find_samples, guess_columns
from ai.workflows.csv_mapping.state import (
    REPEATABLE,
    SURE,
    ColumnMapping,
    CsvMappingOutput,
    Guess,
    InputState,
    MappingAnswer,
    OutputState,
    State,
    Target,
)
from domain.lead import MAX_FIELD_NAME_CHARACTERS

# The limits of the columns and values in the model's input.
MAX_QUESTION_COLUMNS = 60
MAX_QUESTION_VALUES = 8
MAX_QUESTION_CHARACTERS = 80
# A header and values that agree are more certain than the model's answer.
MODEL_CONFIDENCE = 0.9


class Update(TypedDict, total=False):
    """The state changes of a node."""

    columns: list[Column]
    guesses: list[Guess]
    fallback_reason: str | None


async def parse_headers(state: InputState) -> Update:
    """Read the headers and their values."""
    request = state["request"]
    return {"columns": read_columns(request.headers, request.samples), "fallback_reason": None}


async def analyse_samples(state: State) -> Update:
    """Guess by rules the columns whose mapping no user has set for an earlier file."""
    columns = state["columns"]
    remembered = {_header_key(mapping.header): mapping for mapping in reversed(state["request"].remembered or [])}
    settled: dict[int, Guess] = {}
    for column in columns:
        if mapping := remembered.pop(_header_key(column.header), None):
            settled[column.position] = Guess(
                target=mapping.target, confidence=1.0, decided_by="person", custom_name=mapping.custom_name
            )
    return {"guesses": guess_columns(columns, settled)}


async def choose_judge(state: State, runtime: Runtime[NodeContext]) -> Literal["ask_model", "suggest_mappings"]:
    """Ask the model only if columns are unclear and there is a model."""
    return "ask_model" if _unsure_positions(state) and runtime.context.models else "suggest_mappings"


async def ask_model(state: State, runtime: Runtime[NodeContext]) -> Update:
    """Ask the model about unclear columns; answers for other columns or for taken targets are ignored."""
    columns, guesses, unsure = state["columns"], list(state["guesses"]), _unsure_positions(state)[:MAX_QUESTION_COLUMNS]
    taken_targets = {guess.target for position, guess in enumerate(guesses) if position not in unsure}
    material: dict[str, object] = {
        "columns": [
            {
                "position": p,
                "header": columns[p].header[:MAX_QUESTION_CHARACTERS],
                "values": [value[:MAX_QUESTION_CHARACTERS] for value in dict.fromkeys(columns[p].values)][
                    :MAX_QUESTION_VALUES
                ],
            }
            for p in unsure
        ],
        "taken": sorted(taken_targets - REPEATABLE),
    }
    prompt = prompts.load("csv_mapping", "map_columns")
    try:
        answer = await runtime.context.ask(prompt, prompts.fence(material), MappingAnswer)
    except ModelUnavailable as unavailable:
        return {"fallback_reason": str(unavailable)}
    for opinion in answer.parsed.columns:
        if opinion.position in unsure and (opinion.target in REPEATABLE or opinion.target not in taken_targets):
            confidence = min(max(opinion.confidence, 0.0), MODEL_CONFIDENCE)
            guesses[opinion.position] = Guess(target=opinion.target, confidence=confidence, decided_by="model")
    return {"guesses": resolve_conflicts(columns, guesses)}


async def suggest_mappings(state: State, runtime: Runtime[NodeContext]) -> OutputState:
    """Return the mappings, with a unique name for each custom field and sample values for each column."""
    names: set[str] = set()
    mappings = []
    for column, guess in zip(state["columns"], state["guesses"], strict=True):
        custom = _unique_custom_name(column, guess, names) if guess.target is Target.CUSTOM else None
        mappings.append(
            ColumnMapping(
                position=column.position,
                header=column.header,
                target=guess.target,
                custom_name=custom,
                confidence=guess.confidence,
                decided_by=guess.decided_by,
                samples=find_samples(column, guess.target),
            )
        )
    reason = state.get("fallback_reason")
    if reason is None and not runtime.context.models and _unsure_positions(state):
        reason = NO_MODEL
    return {"result": CsvMappingOutput(columns=mappings, fallback_reason=reason)}


def _header_key(header: str) -> str:
    return header.strip().casefold()


def _unsure_positions(state: State) -> list[int]:
    return [position for position, guess in enumerate(state["guesses"]) if guess.confidence < SURE]


def _unique_custom_name(column: Column, guess: Guess, names: set[str]) -> str:
    title = one_line(guess.custom_name or column.header) or f"Column {column.position + 1}"
    name, number = title[:MAX_FIELD_NAME_CHARACTERS], 1
    while name.casefold() in names:
        number += 1
        suffix = f" ({number})"
        name = title[: MAX_FIELD_NAME_CHARACTERS - len(suffix)] + suffix
    names.add(name.casefold())
    return name
