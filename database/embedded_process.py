"""The small process that keeps one embedded Postgres running while its owner lives, and ends it when the owner ends.

It runs as a script on the standard library alone. The owner holds the other end of standard input: end of file there
means that the owner is gone, however it ended. Whatever is killed, no server stays behind: without the owner this
process shuts Postgres down; without this process the kernel does (Linux); without Postgres this process restarts it.
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

READY = b"ready\n"
LOG_LIMIT_BYTES = 16 * 1024 * 1024
CRASHES_PER_MINUTE = 8
TICK_SECONDS = 1.0
POLL_SECONDS = 0.01
# The line of postmaster.pid that holds the state.
STATE_LINE = 7
HAS_PROC = Path("/proc/self/cwd").exists()
PR_SET_PDEATHSIG = 1
# How long each way of ending Postgres may take before the next, harsher one: fast, immediate, by force.
ENDINGS = ((signal.SIGINT, 6.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0))


@dataclass(frozen=True)
class Order:
    """What to run, as whom, and for which process. `user` and `group` are set when the starter is root."""

    command: list[str]
    data: str
    log: str
    announcement: str
    owner: int
    user: int | None
    group: int | None

    def to_text(self) -> str:
        """One command line argument."""
        return json.dumps(asdict(self))


def server_processes(data: str) -> list[int]:
    """Process ids of the Postgres processes that work in this data directory; without /proc the postmaster alone."""
    if not HAS_PROC:
        return _noted_postmaster(data)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # The link to a program that was replaced ends in " (deleted)".
            program = str((entry / "exe").readlink()).removesuffix(" (deleted)")
            if Path(program).name == "postgres" and str((entry / "cwd").readlink()) == data:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _noted_postmaster(data: str) -> list[int]:
    try:
        process = int(Path(data, "postmaster.pid").read_text(encoding="utf-8", errors="replace").split("\n", 1)[0])
    except (OSError, ValueError):
        return []
    shown = subprocess.run(  # noqa: S603 - a fixed command
        ["/bin/ps", "-o", "command=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return [process] if "postgres" in shown.stdout and data in shown.stdout else []


def clear_leftovers(data: str, patience: float) -> bool:
    """Wait for processes whose supervisor is gone, then end them; their pid file goes too. True when none is left.

    To be called only by the holder of the home's lock. Backends of a killed postmaster finish what they do, and a new
    postmaster cannot start before; nothing committed is lost by ending them.
    """
    for sign, seconds in ((None, patience), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0)):
        deadline = time.monotonic() + seconds
        sent: set[int] = set()
        while remaining := server_processes(data):
            if sign is not None:
                for process in set(remaining) - sent:
                    _send(process, sign)
                sent.update(remaining)
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        else:
            if HAS_PROC:
                # Its process id may be another program's by now, and Postgres would wait for that one.
                Path(data, "postmaster.pid").unlink(missing_ok=True)
            return True
    return False


def _send(process: int, sign: signal.Signals) -> None:
    try:
        os.kill(process, sign)
    except ProcessLookupError:
        return


def _dying_with(parent: int) -> Callable[[], None] | None:
    """What the child does before it becomes Postgres, so that the kernel stops it when this process is killed."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            os._exit(1)

    return bind


class Supervisor:
    """Runs the postmaster of one order until the owner is gone."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.owner_gone = False
        self.wake, wake_writer = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _sign, _frame: None)
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sign, self._asked_to_end)

    def run(self) -> int:
        """Keep Postgres running; the return value is the exit status: 0 after an orderly end."""
        announced = False
        crashes: list[float] = []
        while True:
            process = self._launch()
            if self._wait_until_ready(process) and not announced:
                announced = self._announce()
            while self._goes_on(process):
                self._wait(TICK_SECONDS)
                self._bound_log()
            if self.owner_gone or process.returncode == 0:
                return self._shut_down(process)
            now = time.monotonic()
            crashes = [*(moment for moment in crashes if moment > now - 60), now]
            if not announced or len(crashes) > CRASHES_PER_MINUTE or not self._clear():
                return 1
            self._wait(0.1 * (len(crashes) - 1))

    def _launch(self) -> "subprocess.Popen[bytes]":
        order = self.order
        with Path(order.log).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the command comes from the launcher
                order.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=order.user,
                group=order.group,
                extra_groups=None if order.user is None else [],
                preexec_fn=_dying_with(os.getpid()),  # noqa: PLW1509 - this process has one thread
            )

    def _goes_on(self, process: "subprocess.Popen[bytes]") -> bool:
        return process.poll() is None and not self.owner_gone

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> bool:
        pid_file = Path(self.order.data, "postmaster.pid")
        while self._goes_on(process):
            try:
                lines = pid_file.read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                lines = []
            if len(lines) > STATE_LINE and lines[0] == str(process.pid) and lines[STATE_LINE].strip() == "ready":
                return True
            self._wait(POLL_SECONDS)
        return False

    def _announce(self) -> bool:
        try:
            os.write(1, READY)
        except BrokenPipeError:
            self.owner_gone = True
        return True

    def _clear(self) -> bool:
        """Backends that outlived their postmaster get a moment to see it; then the memory they hold is free."""
        return clear_leftovers(self.order.data, patience=0.5)

    def _wait(self, seconds: float) -> None:
        """Sleep until a signal (an ended child is one), the owner's end, or the given time."""
        readable, _, _ = select.select([0, self.wake], [], [], seconds)
        if self.wake in readable:
            os.read(self.wake, 4096)
        # A process forked by the owner may keep the pipe open: hence the look at the parent too.
        if (0 in readable and not os.read(0, 4096)) or os.getppid() != self.order.owner:
            self.owner_gone = True

    def _asked_to_end(self, _sign: int, _frame: FrameType | None) -> None:
        self.owner_gone = True

    def _bound_log(self) -> None:
        """Postgres appends, so that the file can be cut under it; one older file is kept."""
        log = Path(self.order.log)
        try:
            if log.stat().st_size > LOG_LIMIT_BYTES:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)
        except OSError:
            return

    def _shut_down(self, process: "subprocess.Popen[bytes]") -> int:
        try:
            Path(self.order.announcement).unlink(missing_ok=True)
        except OSError as error:
            print(error, file=sys.stderr)  # noqa: T201 - standard error is the log
        for sign, seconds in ENDINGS:
            if process.poll() is not None:
                break
            process.send_signal(sign)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        # After an end by force, the backends are still there.
        return 0 if process.returncode == 0 or self._clear() else 1


if __name__ == "__main__":
    sys.exit(Supervisor(Order(**json.loads(sys.argv[1]))).run())
