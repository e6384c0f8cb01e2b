"""Collects every fault that can be planted in the repository, area by area."""

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from faults.fault import Edit, Fault, one_line
from faults.python_text import find_code_edits, find_statement_edits
from faults.sql_text import find_sql_edits

ROOT = Path(__file__).resolve().parents[1]
STATEMENTS = ("api", "database", "orchestration")
"""Folders whose Python holds SQL. Migrations are left out: the schema that they build is read from the catalog."""
DECISIONS = (
    "domain/*.py",
    "email_text/*.py",
    "api/**/service.py",
    "api/**/eligibility.py",
    *(f"api/imports/{part}.py" for part in ("commit", "preview", "undo")),
)
"""Files whose plain code is mutated."""
TENANT = "tenant term dropped"
"""A WHERE term that compares a row's workspace or account with the caller's, as its policy does."""
_TENANT_TERM = re.compile(
    r"(\w+\.)?(workspace_id|account_id) (==?)"
    r" (:workspace_id|%s|%\(workspace_id\)s|_WORKSPACE|:?\w*workspace_id|:?\w*account_id)"
)


def find_source_faults(root: Path, areas: Sequence[str]) -> Iterator[Fault]:
    """Yield the faults of the source files below `root`, in a fixed order; `areas` are prefixes, none means all."""
    for path, plant in _files(root):
        if not areas or get_area(path.relative_to(root)).startswith(tuple(areas)):
            yield from _numbered(_faults_of_file(root, path, plant(path.read_text(encoding="utf-8"))))


def read_faults(root: Path, file: Path) -> Iterator[Fault]:
    """Yield the faults of a JSON file: a list of objects with `path`, `before` and `after`.

    Raises ValueError for a text that does not stand exactly once in its file.
    """
    for entry in json.loads(file.read_text(encoding="utf-8")):
        path = root / entry["path"]
        source = path.read_text(encoding="utf-8")
        if source.count(entry["before"]) != 1:
            raise ValueError(
                f"{entry['path']} holds this text {source.count(entry['before'])} times: {entry['before']}"
            )
        start = source.index(entry["before"])
        edit = Edit(start, start + len(entry["before"]), entry["after"], "written by a person")
        yield from _faults_of_file(root, path, [edit])


def _files(root: Path) -> Iterator[tuple[Path, Callable[[str], Iterable[Edit]]]]:
    for folder in STATEMENTS:
        for path in sorted((root / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, find_statement_edits
        for path in sorted((root / folder).rglob("sql/*.sql")):
            yield path, find_sql_edits
    for pattern in DECISIONS:
        for path in sorted(root.glob(pattern)):
            yield path, find_code_edits
    for folder in ("macros", "models"):
        for path in sorted((root / "dbt_project" / folder).rglob("*.sql")):
            yield path, find_sql_edits


def get_area(path: Path) -> str:
    """Return the area of a file below the root: its folder inside `api`, one level less elsewhere."""
    if path.parts[0] == "api":
        return (path.parent.parent if path.suffix == ".sql" else path.parent).as_posix()
    is_nested = path.parts[0] in {"orchestration", "dbt_project"} and path.parent != Path(path.parts[0])
    return "/".join(path.parts[: 1 + is_nested])


def _faults_of_file(root: Path, path: Path, edits: Iterable[Edit]) -> Iterator[Fault]:
    source = path.read_text(encoding="utf-8")
    relative = path.relative_to(root)
    places = _Places(source) if path.suffix == ".py" else None
    for edit in edits:
        line = source.count("\n", 0, edit.start) + 1
        yield Fault(
            area=get_area(relative),
            path=str(relative),
            line=line,
            place=places.at(line) if places else path.stem,
            kind=TENANT if _is_tenant_term(relative, edit, source[edit.start : edit.end]) else edit.kind,
            before=one_line(source[edit.start : edit.end]) or one_line(source[edit.start : edit.start + 40]),
            after=one_line(edit.replacement),
            source=edit.apply(source),
        )


def _is_tenant_term(path: Path, edit: Edit, text: str) -> bool:
    return path.parts[0] == "api" and edit.kind == "WHERE term dropped" and _TENANT_TERM.fullmatch(text) is not None


def _numbered(faults: Iterable[Fault]) -> Iterator[Fault]:
    counts: Counter[str] = Counter()
    for fault in faults:
        counts[fault.id] += 1
        yield replace(fault, number=counts[fault.id] - 1)


class _Places:
    """Finds the function, class or constant that a line of a module belongs to."""

    def __init__(self, source: str) -> None:
        self._spans: list[tuple[int, int, str]] = []
        self._add(ast.parse(source).body, "")

    def _add(self, body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            name = ""
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{node.name}"
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = f"{prefix}{node.targets[0].id}"
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = f"{prefix}{node.target.id}"
            if name:
                self._spans.append((node.lineno, node.end_lineno or node.lineno, name))
            if isinstance(node, ast.ClassDef):
                self._add(node.body, f"{name}.")

    def at(self, line: int) -> str:
        matches = [name for start, end, name in self._spans if start <= line <= end]
        return matches[-1] if matches else ""
