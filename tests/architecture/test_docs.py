"""The documents are true of the code: drawings, links, and the names of files and commands they mention."""

import re
import subprocess
from pathlib import Path

import pytest

from salesmatter.cli import commands
from tests import ROOT
from tests.architecture import diagrams

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
SPAN = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"(?:[\w.-]+/)*[\w-]+\.(?:py|md|sql|yml|yaml|toml|csv|lock)")
TARGET = re.compile(r"^make ([a-z]+)")
COMMAND = re.compile(r"^salesmatter ([a-z]+)(?: ([a-z]+))?")

SECTIONS = ("Context", "Decision", "Consequences", "Alternatives", "References")


def test_the_drawings_are_those_of_the_code() -> None:
    """The lifecycles and workflows on the page are the ones that run; the picture cannot lie."""
    page = diagrams.PAGE.read_text(encoding="utf-8")
    assert diagrams.names_in(page) == list(diagrams.drawings())
    assert page == diagrams.redrawn(page), "run `python -m tests.architecture.diagrams`"


def test_a_changed_table_is_seen() -> None:
    """The comparison above can fail: a page with another drawing is redrawn."""
    page = "<!-- drawn: lead -->\n```mermaid\nstateDiagram-v2\n    New --> Qualified: email_sent\n```\n<!-- end -->\n"
    assert "New --> Contacted: email_sent" in diagrams.redrawn(page)
    assert "New --> Qualified" not in diagrams.redrawn(page)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the repository finds it."""
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_named_files_exist(page: Path) -> None:
    """Every file that a document names by a path from the root is there."""
    spans = SPAN.findall(page.read_text(encoding="utf-8"))
    named = [span for span in spans if FILE.fullmatch(span) and "/" in span and not span.startswith(".")]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_tests_that_run_on_a_newer_debian_exist() -> None:
    """Pytest runs nothing at all when one path is missing, and CI would notice it last."""
    script = re.search(
        r"^tests=\(.*?^\)", (ROOT / ".ci" / "debian13").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert script
    expanded = subprocess.run(
        ["bash", "-c", f"{script[0]}\nprintf '%s\\n' \"${{tests[@]}}\""], capture_output=True, text=True, check=True
    )
    paths = [ROOT / path.partition("::")[0] for path in expanded.stdout.split()]
    assert len(paths) > 10
    assert [path for path in paths if not path.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_named_commands_exist(page: Path) -> None:
    """Every `make` target and every `salesmatter` command that a document names can be run."""
    spans = SPAN.findall(page.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    ours = {_name(command.name, command.callback) for command in commands.registered_commands}
    groups = {
        group.name: {_name(command.name, command.callback) for command in group.typer_instance.registered_commands}
        for group in commands.registered_groups
        if group.typer_instance is not None
    }
    assert {found[1] for span in spans if (found := TARGET.match(span))} - targets == set()
    said = [found.groups() for span in spans if (found := COMMAND.match(span))]
    assert {command for command, _ in said} - (ours | groups.keys()) == set()
    assert {(name, word) for name, word in said if name in groups and word and word not in groups[name]} == set()


def _name(name: str | None, callback: object) -> str:
    return name or str(getattr(callback, "__name__", ""))


def test_decisions_are_half_a_page_of_the_same_shape() -> None:
    """Every decision record says why, what, what follows, what else there was, and where to read on; and is short."""
    for number, page in enumerate(sorted((ROOT / "docs" / "decisions").glob("*.md")), start=1):
        text = page.read_text(encoding="utf-8")
        assert re.match(rf"{number:04}-[a-z-]+\.md", page.name), page.name
        assert text.startswith(f"# {number}. "), page.name
        assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS, page.name
        assert len(text.split()) < 550, page.name
