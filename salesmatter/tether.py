"""Runs one program and ends it, with all that it started, when whoever asked for it is gone.

It runs as a script on the standard library alone: `python -I -S tether.py <seconds> <command> …`. The owner holds the
other end of standard input: end of file there means stop. The program gets SIGTERM, and SIGKILL after the seconds.
If this process is killed, the kernel kills the program (Linux). The exit status is the program's.
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
TICK_SECONDS = 1.0
ORPHAN_SECONDS = 1.0
SIGNALLED = 128


def main(arguments: list[str]) -> int:
    """Run the command until it ends or the owner is gone; returns its exit status, 128 + n when signal n ended it."""
    grace, command = float(arguments[0]), arguments[1:]
    wake, waker = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    asked_to_end = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for sign in (*asked_to_end, signal.SIGCHLD):
        signal.signal(sign, lambda _sign, _frame: None)
    owner, own_process = os.getppid(), os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    if prctl is not None:
        # Orphans of the program come to this process, so that it can end them.
        prctl(PR_SET_CHILD_SUBREAPER, 1)

    def bind() -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != own_process:
                os._exit(1)

    try:
        program = subprocess.Popen(  # noqa: S603 - what the owner asked for
            command,
            stdin=subprocess.DEVNULL,
            preexec_fn=bind,  # noqa: PLW1509 - this process has one thread
            process_group=0,
        )
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}\n")
        return 127
    while program.poll() is None:
        readable, _, _ = select.select([0, wake], [], [], TICK_SECONDS)
        # A process forked by the owner may keep the pipe open: hence the look at the parent too.
        if (0 in readable and not os.read(0, 4096)) or os.getppid() != owner:
            break
        if wake in readable and set(os.read(wake, 4096)) & set(asked_to_end):
            break
    _end(program, grace)
    return program.returncode if program.returncode >= 0 else SIGNALLED - program.returncode


def _end(program: "subprocess.Popen[bytes]", grace: float) -> None:
    """End the program's group by request, then all that is left by force."""
    deadline = time.monotonic() + grace
    _signal_group(program.pid, signal.SIGTERM)
    while time.monotonic() < deadline and (program.poll() is None or _group_lives(program.pid)):
        time.sleep(POLL_SECONDS)
    _signal_group(program.pid, signal.SIGKILL)
    program.wait()
    deadline = time.monotonic() + ORPHAN_SECONDS
    while (orphans := _orphans()) and time.monotonic() < deadline:
        for orphan in orphans:
            os.kill(orphan, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def _signal_group(group: int, sign: int) -> bool:
    """Signal a process group; says whether there was one."""
    try:
        os.killpg(group, sign)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _group_lives(group: int) -> bool:
    """Whether somebody of the group lives; its leader's end has been noticed before."""
    _orphans()
    return _signal_group(group, 0)


def _orphans() -> list[int]:
    """Living processes that came to this one when their parents ended, once the program itself is gone (Linux)."""
    living = []
    own_process = os.getpid()
    try:
        children = Path(f"/proc/{own_process}/task/{own_process}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    for child in map(int, children):
        try:
            if os.waitpid(child, os.WNOHANG) == (0, 0):
                living.append(child)
        except ChildProcessError:
            continue
    return living


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
