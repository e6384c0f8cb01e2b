import subprocess
import sys
import textwrap

import pytest

from ai.registry import WORKFLOWS, graph_of


def test_importing_the_room_is_cheap() -> None:
    """The way in, the settings, models and tracing load none of the heavy packages until they are used."""
    program = """
        import sys
        import ai.run, ai.registry, ai.settings, ai.templates
        from ai.models import model_access
        from ai.settings import AiSettings
        from ai.tracing import tracing
        settings = AiSettings(openai_api_key=None, langfuse_public_key=None, langfuse_secret_key=None)
        assert model_access(settings) is None
        tracing(settings).close()
        heavy = {"langgraph", "langchain_core", "openai", "langfuse", "opentelemetry", "liquid"} & set(sys.modules)
        sys.exit(f"loaded: {sorted(heavy)}" if heavy else 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("csv_mapping", {"parse_headers", "analyse_samples", "ask_model", "suggest_mappings"}),
        ("email_generation", {"gather", "write", "rewrite", "render", "check", "finish"}),
        ("intent_classification", {"read_headers", "strip_quotes", "match_rules", "ask_model", "decide"}),
    ],
)
def test_graphs_have_the_agreed_steps_and_narrow_ends(name: str, nodes: set[str]) -> None:
    """Each graph takes one request, gives one result, and its routers lead only to nodes that exist."""
    graph = graph_of(name)
    drawn = graph.get_graph()
    assert set(drawn.nodes) == {*nodes, "__start__", "__end__"}
    assert set(graph.get_input_jsonschema()["properties"]) == {"request"}
    assert set(graph.get_output_jsonschema()["properties"]) == {"result"}
    assert {edge.target for edge in drawn.edges} == {*nodes, "__end__"}
    assert name in WORKFLOWS
