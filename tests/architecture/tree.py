"""The repository as these tests read it: its files, and our modules as syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tests import ROOT

PACKAGES = ("ai", "api", "database", "domain", "egress", "email_text", "everlytic", "orchestration", "salesmatter")
_MODULES = [path.relative_to(ROOT / "api") for path in (ROOT / "api").rglob("*/*.py") if path.name != "__init__.py"]
API_FOLDERS = tuple(sorted({path.parent.as_posix() for path in _MODULES}))
"""The folders of the API that hold code, by their path inside `api/`: `people/leads`."""


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its path from the root with slashes, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """The name it is imported by."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def parse(path: str, text: str) -> Source:
    """Return a text as the file that `path` would be; its tree holds the statements that it loads from `sql/`."""
    return Source(path, text, _LoadedStatements(path).visit(ast.parse(text)))


class _LoadedStatements(ast.NodeTransformer):
    """Replaces `load_statement(__file__, "name")` with the text of the statement."""

    def __init__(self, path: str) -> None:
        self._folder = (ROOT / path).parent / "sql"

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Return the statement in place of a call that loads one."""
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="load_statement"), args=[_, ast.Constant(value=str() as name)]):
                statement = (self._folder / f"{name}.sql").read_text(encoding="utf-8")
                return ast.copy_location(ast.Constant(statement), node)
        return node


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Return every Python file under the folders."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(parse(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths)


@cache
def files() -> tuple[str, ...]:
    """Return every file that is in the repository or would be with the next commit, by its path from the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout
    return tuple(path for path in sorted(set(listed.split("\0"))) if path and (ROOT / path).is_file())


def imported_names(source: Source) -> dict[str, str]:
    """Return what each name stands for that the file imports, anywhere in it: `{"dt": "datetime.datetime"}`."""
    names: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def called(source: Source) -> Iterator[tuple[str, ast.Call]]:
    """Return every call by the full name of what is called, as `full_name` gives it."""
    names = imported_names(source)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and (name := full_name(node.func, names)):
            yield name, node


def full_name(node: ast.expr, names: dict[str, str]) -> str | None:
    """Return the dotted name an expression stands for, or None when it is no plain name.

    `datetime.datetime.now` is that however it was imported; a name that was not imported begins with a dot.
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([names.get(node.id, f".{node.id}"), *reversed(parts)])
