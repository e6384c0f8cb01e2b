"""The list of workflows; a graph is imported and compiled at its first run."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from ai.workflows.csv_mapping.state import CsvMappingInput, CsvMappingOutput
from ai.workflows.email_generation.state import EmailGenerationInput, EmailGenerationOutput
from ai.workflows.intent_classification.state import IntentInput, IntentOutput

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)


@dataclass(frozen=True)
class Workflow(Generic[In, Out]):
    """A workflow with input type In and output type Out; its graph is in `ai/workflows/<name>/graph.py`."""

    name: str


CSV_MAPPING = Workflow[CsvMappingInput, CsvMappingOutput]("csv_mapping")
EMAIL_GENERATION = Workflow[EmailGenerationInput, EmailGenerationOutput]("email_generation")
INTENT_CLASSIFICATION = Workflow[IntentInput, IntentOutput]("intent_classification")

WORKFLOWS: Mapping[str, Workflow[Any, Any]] = {
    workflow.name: workflow for workflow in (CSV_MAPPING, EMAIL_GENERATION, INTENT_CLASSIFICATION)
}


@cache
def load_graph(name: str) -> "CompiledStateGraph[Any, Any, Any, Any]":
    """Return the compiled graph of a workflow; the first call imports LangGraph, which takes about two seconds."""
    graph: CompiledStateGraph[Any, Any, Any, Any] = import_module(f"ai.workflows.{name}.graph").graph
    return graph
