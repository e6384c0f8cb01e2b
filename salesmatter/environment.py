"""Creates `.venv` from requirements.lock; every make target runs `python3 -m salesmatter.environment` first.

A stamp in the finished environment records the files that it was created from. Without a matching stamp the environment
is created again, so an incomplete one is never used. Packages come from the index in the machine's pip configuration.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from salesmatter.environment_builder import Checkout, EnvironmentBuilder, SetupFailed, print_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OLDEST, TOO_NEW = (3, 11), (3, 14)
CANDIDATES = ("python3.13", "python3.12", "python3.11")


def find_python(version: tuple[int, ...], executable: str, candidates: Sequence[str] = CANDIDATES) -> str:
    """Return the Python to create the environment with: the running one, or one on PATH; raises SetupFailed."""
    if OLDEST <= version[:2] < TOO_NEW:
        return executable
    for name in candidates:
        path = shutil.which(name)
        if path and _is_supported(path):
            return path
    raise SetupFailed(
        f"SalesMatter needs Python 3.11, 3.12 or 3.13; python3 is {version[0]}.{version[1]}, and no "
        f"{' or '.join(candidates)} is on the PATH. Install one (on Debian: apt install python3.11 python3.11-venv)."
    )


def _is_supported(python: str) -> bool:
    """Return whether this Python runs and is supported; the command may be a launcher for one that is not installed."""
    check = f"import sys; sys.exit(not {OLDEST} <= sys.version_info[:2] < {TOO_NEW})"
    result = subprocess.run([python, "-c", check], check=False, capture_output=True)  # noqa: S603 - a Python on PATH
    return result.returncode == 0


def ensure_environment(checkout: Checkout, python: str) -> None:
    """Create the environment unless it is current; concurrent calls wait for each other. Raises SetupFailed."""
    checkout.read_fingerprint()
    if checkout.is_current():
        return
    with _lock_checkout(checkout) as lock:
        if checkout.is_current():
            return
        started = time.monotonic()
        builder = EnvironmentBuilder(checkout, lock)
        if checkout.needs_project_install_only():
            builder.install_project()
        else:
            print_message(f"Creating {checkout.venv} from {checkout.lock.name}; this happens once.")
            builder.create_venv(python)
            builder.install_packages()
            builder.install_project()
        checkout.write_stamp()
        print_message(f"The environment is ready ({time.monotonic() - started:.0f} s).")


@contextlib.contextmanager
def _lock_checkout(checkout: Checkout) -> Iterator[int]:
    """Lock the checkout; child processes inherit the lock, so it stays locked until they end if this one is killed."""
    checkout.state.mkdir(exist_ok=True)
    handle = os.open(checkout.state / "environment.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print_message("Another make is creating the environment. Waiting for it to finish.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def main(root: Path) -> int:
    """Create the environment of the checkout at `root`; returns the exit status."""
    try:
        python = find_python(sys.version_info[:3], getattr(sys, "_base_executable", "") or sys.executable)
        ensure_environment(Checkout(root), python)
    except SetupFailed as error:
        print_message(str(error))
        return 1
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            print_message(f"The environment could not be created: the disk of {root} is full.")
        else:
            print_message(f"The environment could not be created: {error.filename or root}: {error.strerror or error}.")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
