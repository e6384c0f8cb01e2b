"""Runs a workflow with typed input and output, inside one trace."""

from typing import TypeVar

from pydantic import BaseModel

from ai.context import NodeContext, RunContext
from ai.registry import WORKFLOWS, Workflow, load_graph

__all__ = ["RunContext", "load_graphs", "run"]

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)


async def run(workflow: Workflow[In, Out], material: In, *, context: RunContext) -> Out:
    """Run a workflow. It has an output with or without a model; `fallback_reason` says why no model was used."""
    graph = load_graph(workflow.name)
    # LangGraph would report to LangSmith if LangSmith's variables are set on this machine.
    from langsmith import tracing_context  # noqa: PLC0415 - already loaded by LangGraph

    with (
        tracing_context(enabled=False),
        context.tracing.run_trace(
            workflow.name,
            workspace_id=str(context.workspace_id),
            actor=context.actor,
            tags=context.tags,
            material=material,
        ) as trace,
    ):
        nodes = NodeContext(workflow.name, context.models, trace, context.meter)
        state = await graph.ainvoke({"request": material}, context=nodes)
        output: Out = state["result"]
        trace.record_output(output)
        return output


def load_graphs() -> None:
    """Import and compile all graphs now (about two seconds), so that the first run does not wait for it."""
    for name in WORKFLOWS:
        load_graph(name)
