"""A runner of faults: a copy of the tree, a Postgres server, and an interpreter that forks for each fault."""

import contextlib
import gc
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import psycopg
import pytest

from database.embedded import Server, start
from database.migrate import migrate
from database.roles import owner_url
from faults.fault import Fault
from faults.memory import plant
from faults.selection import EXCLUDED, Recording, Tests
from tests.conftest import TEMPLATE
from tests.postgres import SERVER_VARIABLE, create_database, drop_database, ensure_template, new_home, remove_home

# The plugins of pytest are imported before a runner collects the tests.
WARNINGS = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
OPTIONS = (
    "-q", "--no-header", "--timeout=30", "--timeout-method=thread",
    "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:cov", *WARNINGS,
)  # fmt: skip
PRISTINE = f"{TEMPLATE}_pristine"
STATEMENT_SECONDS = 15
TIMED_OUT = 124
"""The exit status of tests that were ended by the time limit, as of the program `timeout`."""


class Verdict(StrEnum):
    """The result of the tests of a fault."""

    CAUGHT = "caught"
    ESCAPED = "escaped"
    NOT_RUN = "no test runs it"
    IMPOSSIBLE = "cannot be planted"
    UNSOUND = "caught by a test that fails without it"
    UNENDED = "the tests did not end"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one fault."""

    fault_id: str
    verdict: Verdict
    tests: int
    """The maximum number of tests that were run."""
    seconds: float
    detail: str
    """The summary line of the first failed test, or why the fault could not be planted."""

    @property
    def test(self) -> str:
        """Return the test that caught the fault, or an empty string."""
        return failed_test(self.detail)


@dataclass
class Runner:
    """Runs the tests of one fault after the other; `close` stops its server and removes its files."""

    root: Path
    recording: Recording
    _server: Server = field(init=False)
    _home: Path = field(init=False)
    _tree: Path = field(init=False)
    _tests: Tests = field(init=False)
    _edits: int = 0
    _original: str = ""
    """The original source of the file that has the current fault."""

    def __post_init__(self) -> None:
        self._home = new_home()
        self._server = start(self._home, durable=False)
        ensure_template(self._server.url, PRISTINE, lambda url: migrate(owner_url(url)))
        with psycopg.connect(self._server.url, autocommit=True) as connection:
            # A statement that lost its join condition would run for minutes.
            connection.execute(f"ALTER ROLE CURRENT_USER SET statement_timeout = '{STATEMENT_SECONDS}s'")
        self._restore_template()
        self._tree = Path(tempfile.mkdtemp(prefix="salesmatter-faults-"))
        _copy_tree(self.root, self._tree)
        _enter(self._tree, self._server.url)
        # Tests and their code are imported here once, so that the forks need not import them.
        quiet = ["--collect-only", "-qq", "-p", "no:randomly", "-p", "no:cov", "-p", "no:cacheprovider", *WARNINGS]
        collected = _Collected()
        with contextlib.redirect_stdout(io.StringIO()):
            pytest.main([*quiet, *(f"--ignore={left_out}" for left_out in EXCLUDED)], plugins=[collected])
        self._tests = Tests(self.root, self.recording)
        self._tests.unrecorded = frozenset(collected.tests - self._tests.durations.keys())
        gc.freeze()

    def close(self) -> None:
        """Stop the server and remove the copy of the tree."""
        self._server.stop()
        remove_home(self._home)
        shutil.rmtree(self._tree, ignore_errors=True)

    def run(self, fault: Fault, seconds: float) -> Result:
        """Plant a fault, run tests of about `seconds` until one fails, and remove the fault."""
        started = time.monotonic()
        name = fault.id
        tests = self._tests.select(fault, seconds)
        if not tests:
            return Result(name, Verdict.NOT_RUN, 0, 0.0, "")
        try:
            with self._planted(fault):
                status, output = self._test(fault, tests, 60 + 3 * seconds)
        except psycopg.Error as error:
            return Result(name, Verdict.IMPOSSIBLE, 0, 0.0, str(error).partition("\n")[0])
        verdict = {pytest.ExitCode.OK: Verdict.ESCAPED, TIMED_OUT: Verdict.UNENDED}.get(status, Verdict.CAUGHT)
        return Result(
            name,
            verdict,
            len(tests),
            round(time.monotonic() - started, 1),
            _first_failure(status, output),
        )

    def find_tests_that_fail(self, tests: Sequence[str]) -> set[str]:
        """Return the tests that fail without a fault, so that the faults they caught do not count as caught."""
        _, output = self._test(None, tests, 60 + 10 * len(tests)) if tests else (0, "")
        return {name for line in output.splitlines() if (name := failed_test(line))}

    @contextlib.contextmanager
    def _planted(self, fault: Fault) -> Iterator[None]:
        if fault.statement:
            with self._schema_changed(fault.statement):
                yield
        else:
            path = self._tree / fault.path
            original, changed = path.read_text(encoding="utf-8"), path.stat().st_mtime
            self._original = original
            try:
                self._write(path, fault.source)
                yield
            finally:
                path.write_text(original, encoding="utf-8")
                os.utime(path, (changed, changed))

    def _write(self, path: Path, source: str) -> None:
        """Write a source with a modification time that no compiled file has, so that Python compiles it again."""
        self._edits += 1
        path.write_text(source, encoding="utf-8")
        os.utime(path, (self._edits, self._edits))

    @contextlib.contextmanager
    def _schema_changed(self, statement: str) -> Iterator[None]:
        try:
            self._restore_template(statement)
            yield
        finally:
            self._restore_template()

    def _restore_template(self, statement: str = "") -> None:
        url = self._server.url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {TEMPLATE} IS_TEMPLATE false") if _exists(
                connection, TEMPLATE
            ) else None
        drop_database(url, TEMPLATE)
        database = create_database(url, TEMPLATE, template=PRISTINE)
        if statement:
            with psycopg.connect(database) as connection:
                connection.execute(statement.encode())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {TEMPLATE} IS_TEMPLATE true ALLOW_CONNECTIONS false")

    def _test(self, fault: Fault | None, tests: Sequence[str], seconds: float) -> tuple[int, str]:
        """Run tests in a process of their own; returns pytest's exit status, or TIMED_OUT, and its output."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            child = os.fork()
            if child == 0:
                _become_pytest(fault, self._original, tests, output.fileno())
            status = _wait(child, seconds)
            self._drop_left_databases()
            output.seek(0)
            return status, output.read()

    def _drop_left_databases(self) -> None:
        with psycopg.connect(self._server.url, autocommit=True) as connection:
            names = connection.execute(
                "SELECT datname FROM pg_database"
                " WHERE NOT datistemplate AND datname NOT IN ('postgres', current_database())"
            ).fetchall()
        for (name,) in names:
            drop_database(self._server.url, name)


def _exists(connection: psycopg.Connection[Any], name: str) -> bool:
    return connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone() is not None


def _copy_tree(root: Path, target: Path) -> None:
    """Copy the files that git tracks or does not ignore, and compile them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True).stdout.decode()  # noqa: S603 - a fixed command
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    (target / ".venv").symlink_to(root / ".venv")
    subprocess.run([sys.executable, "-m", "compileall", "-q", "."], cwd=target, check=False, capture_output=True)


def _enter(tree: Path, server: str) -> None:
    """Change into the tree, so that this process imports its modules from now on."""
    os.chdir(tree)
    os.environ |= {SERVER_VARIABLE: server, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(tree))
    _forget_modules(tree)


def _become_pytest(fault: Fault | None, original: str, tests: Sequence[str], output: int) -> None:
    """Run pytest in a forked child; never returns."""
    status: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        if fault and fault.source and not plant(fault.path, original, fault.source):
            _forget_modules(Path.cwd())
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        first = ["-x"] if fault else []
        status = pytest.main([*OPTIONS, *first, *files], plugins=[_Selected(tests)])
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(status))


def _forget_modules(tree: Path) -> None:
    ours = _ours(tree)
    for name in [name for name in sys.modules if name.partition(".")[0] in ours and not name.startswith("faults")]:
        del sys.modules[name]


def _ours(tree: Path) -> set[str]:
    return {path.parent.name for path in tree.glob("*/__init__.py")}


class _Collected:
    """A pytest plugin that stores the names of all tests."""

    tests: frozenset[str] = frozenset()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.tests = frozenset(item.nodeid for item in session.items)


class _Selected:
    """A pytest plugin that selects the given tests, in the given order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {test: position for position, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        selected = [item for item in items if item.nodeid in self._order]
        items[:] = sorted(selected, key=lambda item: self._order[item.nodeid])


def _wait(child: int, seconds: float) -> int:
    """Wait for a child and end its processes; returns its exit status, or TIMED_OUT."""
    ends = time.monotonic() + seconds
    status = TIMED_OUT
    while time.monotonic() < ends:
        ended, raw = os.waitpid(child, os.WNOHANG)
        if ended:
            status = os.waitstatus_to_exitcode(raw)
            break
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status == TIMED_OUT:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
    return status


def failed_test(line: str) -> str:
    """Return the failed test of a line of pytest's summary; an empty string for other lines."""
    match = re.match(r"(?:FAILED|ERROR) (\S+::.+?)(?: - |$)", line)
    return match[1] if match else ""


def _first_failure(status: int, output: str) -> str:
    if status == pytest.ExitCode.OK:
        return ""
    for line in output.splitlines():
        if failed_test(line):
            return line[:400]
    return f"pytest ended with {status}: {output.strip().splitlines()[-1][:150] if output.strip() else ''}"
