"""Runs the import contracts on a copy of the tree into which forbidden imports are planted, one at a time.

It runs as a program in the copy, because import-linter would otherwise find packages that are imported already. On
standard input come, as JSON, the plants: the id of a contract, a path, a statement. On standard output goes, for each,
whether it broke its contract, after the names of the contracts that are broken without any.
"""

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from importlinter.cli import lint_imports

_VERDICT = re.compile(r"^(?P<name>.+) (?P<verdict>KEPT|BROKEN)", re.MULTILINE)


def broken(*contracts: str) -> list[str]:
    """Return the names of the broken ones of some contracts, or of all; raises RuntimeError when none was checked."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        lint_imports(limit_to_contracts=contracts, cache_dir=".cache", no_logo=True)
    verdicts = [(found["name"], found["verdict"]) for found in _VERDICT.finditer(said.getvalue())]
    if not verdicts:
        raise RuntimeError(said.getvalue())
    return [name for name, verdict in verdicts if verdict == "BROKEN"]


@contextlib.contextmanager
def planted(path: Path, statement: str) -> Iterator[None]:
    """Let a statement stand at the end of a file, which may be a new one, for as long as the block runs."""
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before or ''}\n{statement}\n", encoding="utf-8")
    try:
        yield
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")


def main() -> None:
    """Check the copy as it is, then with each plant."""
    without, caught = broken(), []
    for contract, path, statement in json.load(sys.stdin):
        with planted(Path(path), statement):
            caught.append(bool(broken(contract)))
    json.dump({"without": without, "caught": caught}, sys.stdout)


if __name__ == "__main__":
    main()
