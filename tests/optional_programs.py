"""The programs that some tests need and that a machine may lack: those tests are skipped, and one line says so."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable

PACKAGES = {"dovecot": "dovecot-imapd", "npm": "nodejs npm", "pgbouncer": "pgbouncer"}
"""The Debian packages of each program."""
_REASON = re.compile(r"needs (\w+) \(Debian: ")
# Debian puts servers where only administrators look.
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"


def find_program(name: str) -> str | None:
    """Return the path of a program, or None where it is not installed."""
    return shutil.which(name, path=_PATH)


def skip_reason(name: str) -> str:
    """Return why a test is skipped that needs a program."""
    return f"needs {name} (Debian: {PACKAGES[name]})"


def closing_line(reasons: Iterable[str]) -> str:
    """Return one line about the tests that were skipped for these reasons; nothing where no program was missing."""
    missing = Counter(match[1] for reason in reasons if (match := _REASON.search(reason)))
    if not missing:
        return ""
    parts = [f"{name} ({count} tests)" for name, count in sorted(missing.items())]
    packages = " ".join(PACKAGES[name] for name in sorted(missing))
    return f"Skipped because a program is missing: {', '.join(parts)}. On Debian: apt install {packages}"
