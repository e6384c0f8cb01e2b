import subprocess
import sys
import textwrap

import pytest

from ai.registry import WORKFLOWS, load_graph


def test_imports_are_cheap() -> None:
    """Importing the package loads no heavy dependency before it is used."""
    program = """
        import sys
        import ai.run, ai.registry, ai.settings, ai.templates
        from ai.models import create_model_access
        from ai.settings import AiSettings
        from ai.tracing import create_tracing
        settings = AiSettings(openai_api_key=None, langfuse_public_key=None, langfuse_secret_key=None)
        assert create_model_access(settings) is None
        create_tracing(settings).close()
        heavy = {"langgraph", "langchain_core", "openai", "langfuse", "opentelemetry", "liquid"} & set(sys.modules)
        sys.exit(f"loaded: {sorted(heavy)}" if heavy else 0)
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("name", "nodes"),
    [
        ("csv_mapping", {"parse_headers", "analyse_samples", "ask_model", "suggest_mappings"}),
        ("email_generation", {"gather", "write", "rewrite", "render", "check", "finish"}),
        ("intent_classification", {"read_headers", "strip_quotes", "match_rules", "ask_model", "decide"}),
    ],
)
def test_graphs_have_the_expected_nodes(name: str, nodes: set[str]) -> None:
    """Each graph has the expected nodes, one input `request` and one output `result`, and its edges are valid."""
    graph = load_graph(name)
    drawn = graph.get_graph()
    assert set(drawn.nodes) == {*nodes, "__start__", "__end__"}
    assert set(graph.get_input_jsonschema()["properties"]) == {"request"}
    assert set(graph.get_output_jsonschema()["properties"]) == {"result"}
    assert {edge.target for edge in drawn.edges} == {*nodes, "__end__"}
    assert name in WORKFLOWS
