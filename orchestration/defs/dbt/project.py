"""Running dbt in this process: its manifest, its builds and its documentation, without a network and without a shell.

`dbtRunner` and not the `dbt` program: the program takes 8 to 12 s a call to start and stop, the runner 1 to 5 s, and
dagster-dbt's own resource would also run `dbt --version`, which asks the package index. The runner's results carry all
that Dagster is to be told.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from orchestration.errors import DbtFailed

OF_THE_DAY = ("--exclude", "tag:nightly")
"""Arguments of a build that leaves out the tests which read all of history for what the sources' own keys hold."""

_TURN = threading.Lock()
"""dbt keeps its settings in globals: one call at a time in a process."""


@dataclass(frozen=True, slots=True)
class DbtProject:
    """A dbt project and the folder for all that dbt writes."""

    project_dir: Path
    target_path: Path

    def manifest(self, database: URL | None = None) -> Path:
        """Return the manifest's path, parsing the project first if its files have changed since; raises DbtFailed.

        Parsing connects to nothing. With the `database` of the next build, that build need not parse again.
        """
        variables = profile_variables(database) if database is not None else {}
        manifest, stamp = self.target_path / "manifest.json", self.target_path / "manifest.made-from"
        with self._turn():
            wanted = self._fingerprint()
            if not manifest.exists() or not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
                with _environment(variables):
                    self._invoke(["parse"])
                stamp.write_text(wanted, encoding="utf-8")
        return manifest

    def build(self, database: URL, arguments: Sequence[str] = ()) -> list[Any]:
        """Run `dbt build` against the database; returns dbt's result per node, failed ones included."""
        with self._turn(), _environment(profile_variables(database)):
            return list(self._invoke(["build", *arguments], may_fail=True).results)

    def freshness(self, database: URL) -> list[Any]:
        """Run `dbt source freshness` against the database; returns dbt's result per source that has a limit."""
        with self._turn(), _environment(profile_variables(database)):
            return list(self._invoke(["source", "freshness"], may_fail=True).results)

    def docs(self, database: URL) -> Path:
        """Write dbt's documentation of the database as one HTML file that loads nothing, and return its path."""
        with self._turn(), _environment(profile_variables(database)):
            self._invoke(["docs", "generate", "--static"])
        return self.target_path / "static_index.html"

    def _invoke(self, command: Sequence[str], *, may_fail: bool = False) -> Any:
        from dbt.cli.main import dbtRunner  # noqa: PLC0415 - costs a second, and not every process runs dbt

        places = ["--project-dir", self.project_dir, "--profiles-dir", self.project_dir]
        writes = ["--target-path", self.target_path, "--log-path", self.target_path / "logs"]
        quiet = ["--log-level-file", "none", "--quiet", "--no-use-colors", "--no-send-anonymous-usage-stats"]
        outcome = dbtRunner().invoke([*command, *map(str, places), *map(str, writes), *quiet])
        if outcome.result is None or not (outcome.success or may_fail):
            raise DbtFailed(f"dbt {command[0]} failed: {outcome.exception or 'see the log above'}.")
        return outcome.result

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one dbt at a time into the target folder, of all threads and processes of this machine."""
        self.target_path.mkdir(parents=True, exist_ok=True)
        with _TURN, (self.target_path / "turn.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(self.project_dir.rglob("*")):
            if path.suffix in {".sql", ".yml", ".md"}:
                digest.update(str(path.relative_to(self.project_dir)).encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()


def profile_variables(database: URL) -> dict[str, str]:
    """Return the environment that dbt_project/profiles.yml reads, for a database as its owner."""
    sslmode = database.query.get("sslmode")
    return {
        "DBT_HOST": str(database.host),
        "DBT_PORT": str(database.port or 5432),
        "DBT_USER": str(database.username),
        "DBT_PASSWORD": str(database.password or ""),
        "DBT_DBNAME": str(database.database),
        "DBT_SSLMODE": sslmode if isinstance(sslmode, str) else "prefer",
    }


def read_manifest(path: Path) -> Mapping[str, Any]:
    """Return a manifest's content."""
    content = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Show dbt its profile's variables, for as long as it runs: it takes them from nowhere else."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
