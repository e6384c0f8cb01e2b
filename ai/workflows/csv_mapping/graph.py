"""The graph of CSV mapping: parse headers, analyse samples, ask the model about open columns, suggest mappings."""

from langgraph.graph import END, START, StateGraph

from ai.context import NodeContext
from ai.workflows.csv_mapping import nodes
from ai.workflows.csv_mapping.state import InputState, OutputState, State

builder = StateGraph(State, context_schema=NodeContext, input_schema=InputState, output_schema=OutputState)
builder.add_node("parse_headers", nodes.parse_headers)
builder.add_node("analyse_samples", nodes.analyse_samples)
builder.add_node("ask_model", nodes.ask_model)
builder.add_node("suggest_mappings", nodes.suggest_mappings)

builder.add_edge(START, "parse_headers")
builder.add_edge("parse_headers", "analyse_samples")
builder.add_conditional_edges("analyse_samples", nodes.choose_judge)
builder.add_edge("ask_model", "suggest_mappings")
builder.add_edge("suggest_mappings", END)

graph = builder.compile(name="csv_mapping")
