"""The one way in: runs a workflow by its constant, typed input in, typed output out, one trace around it."""

from typing import TypeVar

from pydantic import BaseModel

from ai.context import NodeContext, RunContext
from ai.registry import WORKFLOWS, Workflow, graph_of

__all__ = ["RunContext", "run", "warm"]

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)


async def run(workflow: Workflow[In, Out], material: In, *, context: RunContext) -> Out:
    """Run a workflow. It has an answer with or without a model; what the model failed at is in `fallback_reason`."""
    graph = graph_of(workflow.name)
    # LangGraph would report to LangSmith if its variables happen to be set for something else on this machine.
    from langsmith import tracing_context  # noqa: PLC0415 - LangGraph has it loaded by now

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
        trace.finished(output)
        return output


def warm() -> None:
    """Import and compile every graph now, so that the first run does not wait for it (about two seconds)."""
    for name in WORKFLOWS:
        graph_of(name)
