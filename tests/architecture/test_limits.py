"""What comes from outside is read within limits of our own, not within those of the Python that happens to run."""

import ast

import pytest

from tests.architecture.tree import PACKAGES, Source, called, parse, sources

OWN_JSON = {
    "api/live/endpoints.py": "a problem that this process answered",
    "api/http/pagination.py": "a cursor whose seal shows that it was made here",
    "api/imports/preview.py": "custom fields as this process packed them",
    "database/embedded.py": "a file that the embedded server's supervisor writes",
    "database/embedded_process.py": "the order of the process that starts it",
    "domain/bounded_json.py": "what was found to be within the limits",
    "orchestration/defs/dbt/project.py": "the manifest that dbt writes",
    "salesmatter/environment_builder.py": "the stamp of a finished environment",
}
"""The files that parse JSON without limits, each with whose it is."""
PARSERS = {"json.loads", "json.load", "email.parser.BytesParser", "email.parser.Parser", "email.message_from_bytes"}
OWN_MESSAGES = {"email_text/bounded_mime.py": "the parser that knows how deep parts stand"}


def _parses(source: Source) -> list[str]:
    return [name for name, _ in called(source) if name in PARSERS]


def test_what_others_wrote_is_read_within_limits() -> None:
    """Only what was written here is parsed without the limits; a new place is a decision, and is listed above."""
    parsing = {source.path for source in sources(*PACKAGES) if _parses(source)}
    assert parsing == set(OWN_JSON) | set(OWN_MESSAGES)


def test_nothing_relies_on_the_interpreters_recursion() -> None:
    """No shipped code catches a RecursionError: how deep something may nest is known before it is read."""
    relying = [
        f"{source.path}:{node.lineno}"
        for source in sources(*PACKAGES)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Name) and node.id == "RecursionError"
    ]
    assert relying == []


@pytest.mark.parametrize(
    "text",
    [
        "import json\njson.loads(body)\n",
        "from json import loads\nloads(body)\n",
        "import email\nemail.message_from_bytes(b)\n",
    ],
)
def test_a_seeded_parser_is_seen(text: str) -> None:
    """The first check can fail: a parser is seen under whatever name it was imported."""
    assert _parses(parse("api/x.py", text))
