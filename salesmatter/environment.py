"""Makes `.venv` exactly as requirements.lock says; make runs it (`python3 -m salesmatter.environment`) before all else.

A stamp in the finished environment says what it was made from. Without a fitting stamp it is made anew, so that a
half-made one is never used. The machine's pip configuration decides where packages come from.
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

from salesmatter.environment_maker import CannotMake, Checkout, Maker, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OLDEST, TOO_NEW = (3, 11), (3, 14)
CANDIDATES = ("python3.13", "python3.12", "python3.11")


def fitting_python(version: tuple[int, ...], executable: str, candidates: Sequence[str] = CANDIDATES) -> str:
    """Return the Python to make the environment with: the running one, or one on PATH; raises CannotMake."""
    if OLDEST <= version[:2] < TOO_NEW:
        return executable
    for name in candidates:
        found = shutil.which(name)
        if found and _runs(found):
            return found
    raise CannotMake(
        f"SalesMatter needs Python 3.11, 3.12 or 3.13; python3 is {version[0]}.{version[1]}, and no "
        f"{' or '.join(candidates)} is on the PATH. Install one (on Debian: apt install python3.11 python3.11-venv)."
    )


def _runs(python: str) -> bool:
    """Whether it is a Python that fits; a launcher of that name may stand for one that is not installed."""
    check = f"import sys; sys.exit(not {OLDEST} <= sys.version_info[:2] < {TOO_NEW})"
    ran = subprocess.run([python, "-c", check], check=False, capture_output=True)  # noqa: S603 - a Python on PATH
    return ran.returncode == 0


def make(checkout: Checkout, python: str) -> None:
    """Make the environment unless it is made; two that do so at once take turns. Raises CannotMake."""
    checkout.made_from()
    if checkout.is_made():
        return
    with _turn(checkout) as turn:
        if checkout.is_made():
            return
        started = time.monotonic()
        maker = Maker(checkout, turn)
        if checkout.needs_project_only():
            maker.install_project()
        else:
            say(f"Making {checkout.venv} from {checkout.lock.name}; this happens once.")
            maker.make_venv(python)
            maker.install_packages()
            maker.install_project()
        checkout.stamp()
        say(f"The environment is ready ({time.monotonic() - started:.0f} s).")


@contextlib.contextmanager
def _turn(checkout: Checkout) -> Iterator[int]:
    """Hold the checkout's lock; whatever is started meanwhile inherits it and holds it on if this process is killed."""
    checkout.state.mkdir(exist_ok=True)
    handle = os.open(checkout.state / "environment.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another make is making the environment; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def main(root: Path) -> int:
    """Make the environment of the checkout at `root`; returns the exit status."""
    try:
        python = fitting_python(sys.version_info[:3], getattr(sys, "_base_executable", "") or sys.executable)
        make(Checkout(root), python)
    except CannotMake as error:
        say(str(error))
        return 1
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            say(f"The environment could not be made: the disk of {root} is full.")
        else:
            say(f"The environment could not be made: {error.filename or root}: {error.strerror or error}.")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
