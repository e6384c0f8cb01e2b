"""Selects the tests that can catch a fault: those that run its code, according to a recorded run of the whole suite."""

import ast
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from coverage import CoverageData

from faults.fault import Fault

EXCLUDED = ("tests/e2e/", "tests/benchmarks/", "tests/evals/", "tests/api/test_schemathesis.py")
"""Tests that take minutes and run the same code as others."""
MIGRATIONS = "tests/database/test_migrations.py"
"""It compares the schema with a fresh one, so it would catch every fault in the schema."""
ASSUMED_SECONDS = 0.3
"""The duration of a test without a recorded one."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded run of the suite: the lines that each test ran, and its duration."""

    coverage: Path
    """A data file of coverage.py with one context per test."""
    durations: Path
    """JSON: seconds by test id."""


@dataclass
class Tests:
    """The tests of the repository, by the code that they run."""

    root: Path
    recording: Recording
    unrecorded: frozenset[str] = frozenset()
    """Tests that are newer than the recording; those of a fault's area are selected too."""
    _tests_of_file: dict[str, dict[int, set[str]]] = field(default_factory=dict)

    @cached_property
    def durations(self) -> dict[str, float]:
        """Seconds by test id; a test without an entry is not selected."""
        seconds: dict[str, float] = json.loads(self.recording.durations.read_text(encoding="utf-8"))
        return {test: duration for test, duration in seconds.items() if not test.startswith(EXCLUDED)}

    @cached_property
    def _coverage(self) -> CoverageData:
        data = CoverageData(str(self.recording.coverage))
        data.read()
        return data

    @cached_property
    def _modules(self) -> dict[str, "_Module"]:
        folders = (
            "ai",
            "api",
            "database",
            "domain",
            "egress",
            "email_text",
            "everlytic",
            "orchestration",
            "salesmatter",
        )
        paths = [path for folder in folders for path in sorted((self.root / folder).rglob("*.py"))]
        return {str(path.relative_to(self.root)): _Module(path.read_text(encoding="utf-8")) for path in paths}

    def select(self, fault: Fault, seconds: float) -> list[str]:
        """Return tests of about `seconds` that run the faulty code: first those of its area, and the fastest first."""
        if fault.area.startswith("dbt_project"):
            tests = {test for test in self.durations if test.startswith("tests/dbt_project/")}
        elif fault.path.endswith(".py"):
            tests = self._running(fault.path, fault.place)
        elif fault.path.endswith(".sql"):
            tests = self._of_statement(fault.path)
        else:
            tests = self._of_table(fault)
        folders = (
            ("tests/database/",)
            if fault.area == "schema"
            else tuple(f"tests/{area}/" for area in {fault.area, str(Path(fault.path).parent)})
        )
        tests = tests & self.durations.keys() | {test for test in self.unrecorded if _is_near(test, folders)}
        durations = {test: self.durations.get(test, ASSUMED_SECONDS) for test in tests}
        selected: list[str] = []
        total = 0.0
        for test in sorted(tests, key=lambda test: (not test.startswith(folders), durations[test], test)):
            if selected and total + durations[test] > seconds:
                continue
            selected.append(test)
            total += durations[test]
        return selected

    def _running(self, path: str, place: str) -> set[str]:
        module = self._modules[path]
        lines = module.body_lines(place)
        tests = self._covering(path, lines) if lines else set[str]()
        if tests:
            return tests
        for user, names in self._users(path, place):
            for name in names:
                tests |= self._covering(user, self._modules[user].body_lines(name))
        return tests or self._covering(path, module.all_body_lines)

    def _of_statement(self, path: str) -> set[str]:
        """Tests of the functions that run the statement of a file in `sql/`, in the modules beside that folder."""
        file = Path(path)
        tests = set[str]()
        for module in sorted((self.root / file.parent.parent).glob("*.py")):
            name = str(module.relative_to(self.root))
            for constant in self._modules[name].constants_loading(file.stem):
                tests |= self._running(name, constant)
        return tests

    def _users(self, path: str, place: str) -> Iterable[tuple[str, set[str]]]:
        """Yield (file, functions) that use a constant or class, also through other constants of its module."""
        names = {place.partition(".")[0]} - {""}
        module = self._modules[path]
        while new_names := module.constants_using(names) - names:
            names |= new_names
        dotted = path.removesuffix(".py").replace("/", ".")
        for other_path, other in self._modules.items():
            if other_path == path or dotted in other.source or dotted.rpartition(".")[0] in other.source:
                functions = other.functions_using(names)
                if functions:
                    yield other_path, functions

    def _of_table(self, fault: Fault) -> set[str]:
        """Return the tests of the schema, and those that run a function which writes to the table."""
        tests = {test for test in self.durations if test.startswith("tests/database/") and MIGRATIONS not in test}
        table = fault.path.rpartition(".")[2]
        model = "".join(part.capitalize() for part in table.removesuffix("s").split("_"))
        models = {model, f"{model}s", model.removesuffix("ie") + "y", model.removesuffix("e")}
        for path, module in self._modules.items():
            if re.search(rf"\b{re.escape(fault.path)}\b", module.source) or any(
                re.search(rf"insert\({name}\)|\b{name}\(", module.source) for name in models
            ):
                tests |= self._covering(path, module.all_body_lines)
        return tests

    def _covering(self, path: str, lines: Iterable[int]) -> set[str]:
        if path not in self._tests_of_file:
            by_line = self._coverage.contexts_by_lineno(path)
            self._tests_of_file[path] = {
                line: {context.partition("|")[0] for context in contexts if context}
                for line, contexts in by_line.items()
            }
        tests = self._tests_of_file[path]
        return {test for line in lines for test in tests.get(line, ())}


def _is_near(test: str, folders: tuple[str, ...]) -> bool:
    """Return whether a test is in one of the folders, or in a file directly above them that tests several areas."""
    parents = {str(Path(folder).parent) for folder in folders}
    return MIGRATIONS not in test and (
        test.startswith(folders) or str(Path(test.partition("::")[0]).parent) in parents - {"tests"}
    )


class _Module:
    def __init__(self, source: str) -> None:
        self.source = source
        self._functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        self._constants: dict[str, ast.stmt] = {}
        self._add(ast.parse(source).body, "")

    def _add(self, body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self._functions[f"{prefix}{node.name}"] = node
            elif isinstance(node, ast.ClassDef):
                self._add(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self._constants[f"{prefix}{node.targets[0].id}"] = node

    def body_lines(self, place: str) -> range:
        """Return the lines of a function's body; none for a constant."""
        function = self._functions.get(place)
        if function is None:
            return range(0)
        return range(function.body[0].lineno, (function.end_lineno or function.lineno) + 1)

    @cached_property
    def all_body_lines(self) -> list[int]:
        return [line for name in self._functions for line in self.body_lines(name)]

    def constants_loading(self, statement: str) -> set[str]:
        """The constants that load the statement with this name."""
        return {
            name
            for name, node in self._constants.items()
            if "load_statement" in _names(node)
            and any(isinstance(part, ast.Constant) and part.value == statement for part in ast.walk(node))
        }

    def constants_using(self, names: set[str]) -> set[str]:
        return {name for name, node in self._constants.items() if _names(node) & names}

    def functions_using(self, names: set[str]) -> set[str]:
        return {name for name, node in self._functions.items() if _names(node) & names}


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} | {
        part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)
    }
