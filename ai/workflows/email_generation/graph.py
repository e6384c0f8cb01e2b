"""The graph of email generation: gather, write or render, check, rewrite at most twice, finish."""

from langgraph.graph import END, START, StateGraph

from ai.context import NodeContext
from ai.workflows.email_generation import nodes
from ai.workflows.email_generation.state import InputState, OutputState, State

builder = StateGraph(State, context_schema=NodeContext, input_schema=InputState, output_schema=OutputState)
builder.add_node("gather", nodes.gather)
builder.add_node("write", nodes.write)
builder.add_node("rewrite", nodes.rewrite)
builder.add_node("render", nodes.render)
builder.add_node("check", nodes.check)
builder.add_node("finish", nodes.finish)

builder.add_edge(START, "gather")
builder.add_conditional_edges("gather", nodes.choose_author)
builder.add_edge("write", "check")
builder.add_edge("rewrite", "check")
builder.add_edge("render", "check")
builder.add_conditional_edges("check", nodes.choose_next_step)
builder.add_edge("finish", END)

graph = builder.compile(name="email_generation")
