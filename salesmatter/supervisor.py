"""Runs one program, and stops it and its child processes when the owner, the process that started it, is gone.

It runs as a script that uses only the standard library: `python -I -S supervisor.py <seconds> <command> …`. The owner
holds the other end of standard input; end of file there means stop. The program gets SIGTERM, and SIGKILL after the
given seconds. If this process is killed, the kernel kills the program (Linux). It exits with the program's status.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
POLL_SECONDS = 0.02
PARENT_CHECK_SECONDS = 1.0
ORPHAN_SECONDS = 1.0
SIGNAL_STATUS_BASE = 128


def main(arguments: list[str]) -> int:
    """Run the command until it ends or the owner is gone; returns its exit status, or 128 + n if signal n ended it."""
    grace, command = float(arguments[0]), arguments[1:]
    wake, waker = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    stop_signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for sign in (*stop_signals, signal.SIGCHLD):
        signal.signal(sign, lambda _sign, _frame: None)
    owner, own_process = os.getppid(), os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    if prctl is not None:
        # Orphans of the program become children of this process, so that it can kill them.
        prctl(PR_SET_CHILD_SUBREAPER, 1)

    def die_with_parent() -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != own_process:
                os._exit(1)

    try:
        program = subprocess.Popen(  # noqa: S603 - the owner's command
            command,
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
            process_group=0,
        )
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}\n")
        return 127
    while program.poll() is None:
        readable, _, _ = select.select([0, wake], [], [], PARENT_CHECK_SECONDS)
        # Check the parent too: a process forked by the owner may keep the pipe open.
        if (0 in readable and not os.read(0, 4096)) or os.getppid() != owner:
            break
        if wake in readable and set(os.read(wake, 4096)) & set(stop_signals):
            break
    _stop_program(program, grace)
    return program.returncode if program.returncode >= 0 else SIGNAL_STATUS_BASE - program.returncode


def _stop_program(program: "subprocess.Popen[bytes]", grace: float) -> None:
    """Send SIGTERM to the program's process group, then SIGKILL to it and to orphans of the program."""
    deadline = time.monotonic() + grace
    _signal_group(program.pid, signal.SIGTERM)
    while time.monotonic() < deadline and (program.poll() is None or _is_group_running(program.pid)):
        time.sleep(POLL_SECONDS)
    _signal_group(program.pid, signal.SIGKILL)
    program.wait()
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (orphans := _find_orphans()) and time.monotonic() < deadline:
        for orphan in orphans:
            os.kill(orphan, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def _signal_group(group: int, sign: int) -> bool:
    """Signal a process group; returns False if it does not exist."""
    try:
        os.killpg(group, sign)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _is_group_running(group: int) -> bool:
    """Return whether a process of the group is running; the group's leader has already been waited for."""
    _find_orphans()
    return _signal_group(group, 0)


def _find_orphans() -> list[int]:
    """Return the running processes that became children of this one when their parents ended (Linux).

    Call it only after the program itself has been waited for.
    """
    orphans = []
    own_process = os.getpid()
    try:
        children = Path(f"/proc/{own_process}/task/{own_process}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    for child in map(int, children):
        try:
            if os.waitpid(child, os.WNOHANG) == (0, 0):
                orphans.append(child)
        except ChildProcessError:
            continue
    return orphans


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
