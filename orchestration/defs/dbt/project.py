"""Runs dbt in this process: parses the manifest, builds models, and generates the documentation.

Uses `dbtRunner` instead of the `dbt` program: the program takes 8 to 12 s per call, the runner 1 to 5 s. dagster-dbt's
own resource would also run `dbt --version`, which calls the package index. The runner's results contain everything that
Dagster needs.
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

EXCLUDE_NIGHTLY = ("--exclude", "tag:nightly")
"""Build arguments that skip the nightly tests, which read whole sources to verify keys that the database enforces."""

_PROCESS_LOCK = threading.Lock()
"""Allows one dbt call at a time in a process, because dbt keeps its settings in globals."""


@dataclass(frozen=True, slots=True)
class DbtProject:
    """A dbt project and the target folder that dbt writes to."""

    project_dir: Path
    target_path: Path

    def ensure_manifest(self, database: URL | None = None) -> Path:
        """Return the manifest's path, after parsing the project if its files have changed; raises DbtFailed.

        Parsing needs no connection. Pass the `database` of the next build, so that the build need not parse again.
        """
        variables = profile_variables(database) if database is not None else {}
        manifest, stamp = self.target_path / "manifest.json", self.target_path / "manifest.sha256"
        with self._lock_target():
            fingerprint = self._fingerprint()
            if not manifest.exists() or not stamp.exists() or stamp.read_text(encoding="utf-8") != fingerprint:
                with _set_environment(variables):
                    self._invoke(["parse"])
                stamp.write_text(fingerprint, encoding="utf-8")
        return manifest

    def build(self, database: URL, arguments: Sequence[str] = ()) -> list[Any]:
        """Run `dbt build` against the database; returns dbt's result per node, including failed ones."""
        with self._lock_target(), _set_environment(profile_variables(database)):
            return list(self._invoke(["build", *arguments], may_fail=True).results)

    def check_freshness(self, database: URL) -> list[Any]:
        """Run `dbt source freshness` against the database; returns dbt's result per source with a freshness limit."""
        with self._lock_target(), _set_environment(profile_variables(database)):
            return list(self._invoke(["source", "freshness"], may_fail=True).results)

    def generate_docs(self, database: URL) -> Path:
        """Write dbt's documentation of the database as one self-contained HTML file, and return its path."""
        with self._lock_target(), _set_environment(profile_variables(database)):
            self._invoke(["docs", "generate", "--static"])
        return self.target_path / "static_index.html"

    def _invoke(self, command: Sequence[str], *, may_fail: bool = False) -> Any:
        from dbt.cli.main import dbtRunner  # noqa: PLC0415 - takes a second, and not every process runs dbt

        inputs = ["--project-dir", self.project_dir, "--profiles-dir", self.project_dir]
        outputs = ["--target-path", self.target_path, "--log-path", self.target_path / "logs"]
        quiet = ["--log-level-file", "none", "--quiet", "--no-use-colors", "--no-send-anonymous-usage-stats"]
        outcome = dbtRunner().invoke([*command, *map(str, inputs), *map(str, outputs), *quiet])
        if outcome.result is None or not (outcome.success or may_fail):
            raise DbtFailed(f"dbt {command[0]} failed: {outcome.exception or 'see the log above'}.")
        return outcome.result

    @contextlib.contextmanager
    def _lock_target(self) -> Iterator[None]:
        """Lock the target folder against dbt calls in other threads and processes of this machine."""
        self.target_path.mkdir(parents=True, exist_ok=True)
        with _PROCESS_LOCK, (self.target_path / "dbt.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for path in sorted(self.project_dir.rglob("*")):
            if path.suffix in {".sql", ".yml", ".md"}:
                digest.update(str(path.relative_to(self.project_dir)).encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()


def profile_variables(database: URL) -> dict[str, str]:
    """Return the environment variables that dbt_project/profiles.yml reads, for this database URL."""
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
    """Return the content of a manifest."""
    content = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@contextlib.contextmanager
def _set_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while dbt runs, because dbt reads its profile from nowhere else; restore them after."""
    previous = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in previous.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
