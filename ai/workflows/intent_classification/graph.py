"""The graph of intent classification: read headers, strip quotes, match rules, ask the model if unclear, decide."""

from langgraph.graph import END, START, StateGraph

from ai.context import NodeContext
from ai.workflows.intent_classification import nodes
from ai.workflows.intent_classification.state import InputState, OutputState, State

builder = StateGraph(State, context_schema=NodeContext, input_schema=InputState, output_schema=OutputState)
builder.add_node("read_headers", nodes.read_headers)
builder.add_node("strip_quotes", nodes.strip_quotes)
builder.add_node("match_rules", nodes.match_rules)
builder.add_node("ask_model", nodes.ask_model)
builder.add_node("decide", nodes.decide)

builder.add_edge(START, "read_headers")
builder.add_conditional_edges("read_headers", nodes.choose_after_headers)
builder.add_edge("strip_quotes", "match_rules")
builder.add_conditional_edges("match_rules", nodes.choose_after_rules)
builder.add_edge("ask_model", "decide")
builder.add_edge("decide", END)

graph = builder.compile(name="intent_classification")
