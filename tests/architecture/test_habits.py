"""House style that no linter checks: sizes, sentences of tests, no patching, no fixed sleeps, no machine's names."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.architecture.tree import PACKAGES, called, files, parse, sources

LONGEST_FILE = 400

LONGEST_SLEEP = 0.5
PATCHES = {".monkeypatch.setattr", ".monkeypatch.setitem", ".monkeypatch.delattr", ".mocker.patch"}

REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|pypi\.python\.org|registry\.npmjs\.org|registry\.yarnpkg\.com|proxy\.golang\.org"
    r"|conda\.anaconda\.org|repo\.maven\.apache\.org|index\.crates\.io|rubygems\.org"
)


def test_files_stay_short() -> None:
    """A file that grows past what can be kept in mind is split by kind."""
    lengths = {
        **{source.path: source.text.count("\n") for source in sources(*PACKAGES, "benchmarks", "faults", "tests")},
        **{
            path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8").count("\n")
            for package in PACKAGES
            for path in (ROOT / package).rglob("*.sql")
        },
    }
    assert {path for path, lines in lengths.items() if lines > LONGEST_FILE} == set()


def test_every_test_says_what_it_proves() -> None:
    """A test that fails says in a sentence what is no longer so."""
    silent = [
        f"{source.path}:{node.lineno}: {node.name}"
        for source in sources("tests")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_fakes_stand_at_the_wire() -> None:
    """No test replaces a part of our code: what it proves, it proves of what runs."""
    patched = [
        f"{source.path}:{call.lineno}: {name}"
        for source in sources("tests")
        for name, call in called(source)
        if name in PATCHES or name.startswith(("unittest.mock.", "mock."))
    ]
    assert patched == []


def test_no_test_sleeps() -> None:
    """A test waits for what it waits for; it does not sleep and hope that it has happened."""
    slept = [
        f"{source.path}:{call.lineno}"
        for source in sources("tests")
        for name, call in called(source)
        if name in {"time.sleep", "asyncio.sleep", "anyio.sleep"} and _seconds(call) >= LONGEST_SLEEP
    ]
    assert slept == []


def _seconds(call: ast.Call) -> float:
    """Return how long a call sleeps, where that is written down."""
    match call.args:
        case [ast.Constant(value=int() | float() as seconds), *_]:
            return float(seconds)
    return 0.0


def _registries_of_this_machine() -> set[str]:
    """Return the hosts and folders this machine takes packages from, which must not be in the repository."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    output = subprocess.run(command, capture_output=True, check=False, encoding="utf-8").stdout
    output += " ".join(
        os.environ.get(name, "") for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX")
    )
    hosts = re.findall(r"https?://(?:[^@/\s'\"]*@)?([^/:\s'\"]+)", output)
    return {*hosts, *re.findall(r"file://(/[^/\s'\"]+/[^\s'\"]+)", output)}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a repository knows what is in it")
def test_the_repository_names_no_machine() -> None:
    """The repository contains neither the package registry nor a folder of the machine on which it was written."""
    of_this_machine = {str(ROOT), *_registries_of_this_machine()}
    home = Path.home()
    if len(home.parts) > 2:
        of_this_machine.add(str(home))
    named: list[str] = []
    for path in files():
        text = (ROOT / path).read_bytes().decode("utf-8", "replace")
        found = {one for one in of_this_machine if one in text} | set(REGISTRIES.findall(text))
        named += [f"{path}: {one}" for one in sorted(found)]
    assert named == []


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.sleep(1)\n",
        "from asyncio import sleep\nasync def test():\n    await sleep(0.5)\n",
    ],
)
def test_a_seeded_sleep_is_found(text: str) -> None:
    """The check above can fail: a fixed sleep is seen under whatever name it was imported."""
    calls = called(parse("tests/x.py", text))
    assert [_seconds(call) >= LONGEST_SLEEP for name, call in calls if name.endswith(".sleep")] == [True]
