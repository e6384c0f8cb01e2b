"""Supervises one embedded Postgres: restarts it after a crash, and shuts it down when its owner ends.

It runs as a script that uses only the standard library. The owner has the other end of its standard input, so end of
file means that the owner has ended. No server is left behind after a kill: when the owner is killed, this process
shuts Postgres down; when this process is killed, the kernel ends Postgres (Linux only).
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
# The index of the line of postmaster.pid that contains the state.
STATE_LINE = 7
HAS_PROC = Path("/proc/self/cwd").exists()
PR_SET_PDEATHSIG = 1
# The shutdown modes of Postgres (fast, immediate, kill) and the seconds to wait before the next one.
SHUTDOWN_SIGNALS = ((signal.SIGINT, 6.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0))


@dataclass(frozen=True)
class LaunchSpec:
    """The command, user and owner of a supervised Postgres; `user` and `group` are set when root starts it."""

    command: list[str]
    data: str
    log: str
    announcement: str
    owner: int
    user: int | None
    group: int | None

    def to_json(self) -> str:
        """Return the command line argument of the supervisor."""
        return json.dumps(asdict(self))


def find_server_processes(data: str) -> list[int]:
    """Return the ids of the Postgres processes of a data directory; without /proc only that of the postmaster."""
    if not HAS_PROC:
        return _read_postmaster_pid(data)
    process_ids = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # The link to a replaced program ends in " (deleted)".
            program = str((entry / "exe").readlink()).removesuffix(" (deleted)")
            if Path(program).name == "postgres" and str((entry / "cwd").readlink()) == data:
                process_ids.append(int(entry.name))
        except OSError:
            continue
    return process_ids


def _read_postmaster_pid(data: str) -> list[int]:
    try:
        process = int(Path(data, "postmaster.pid").read_text(encoding="utf-8", errors="replace").split("\n", 1)[0])
    except (OSError, ValueError):
        return []
    result = subprocess.run(  # noqa: S603 - a fixed command
        ["/bin/ps", "-o", "command=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return [process] if "postgres" in result.stdout and data in result.stdout else []


def end_leftover_processes(data: str, wait_seconds: float) -> bool:
    """Wait for processes without a supervisor, then end them and delete their pid file; returns whether all ended.

    The caller must own the lock of the home. Backends of a killed postmaster finish their statements, and a new
    postmaster cannot start before they end; ending them loses no committed data.
    """
    for sign, seconds in ((None, wait_seconds), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0)):
        deadline = time.monotonic() + seconds
        sent: set[int] = set()
        while remaining := find_server_processes(data):
            if sign is not None:
                for process in set(remaining) - sent:
                    _send_signal(process, sign)
                sent.update(remaining)
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        else:
            if HAS_PROC:
                # Another program may have the same process id by now, and Postgres would wait for it.
                Path(data, "postmaster.pid").unlink(missing_ok=True)
            return True
    return False


def _send_signal(process: int, sign: signal.Signals) -> None:
    try:
        os.kill(process, sign)
    except ProcessLookupError:
        return


def _bind_to_parent(parent: int) -> Callable[[], None] | None:
    """Return a function that the child runs before Postgres, so that the kernel stops it when this process ends."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            os._exit(1)

    return bind


class Supervisor:
    """Runs one postmaster until its owner ends."""

    def __init__(self, spec: LaunchSpec) -> None:
        self.spec = spec
        self.is_owner_gone = False
        self.wake, wake_writer = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake_writer, False)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _sign, _frame: None)
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sign, self._on_stop_signal)

    def run(self) -> int:
        """Keep Postgres running, and return the exit status: 0 after a regular shutdown."""
        announced = False
        crashes: list[float] = []
        while True:
            process = self._launch()
            if self._wait_until_ready(process) and not announced:
                announced = self._announce()
            while self._is_running(process):
                self._wait(TICK_SECONDS)
                self._truncate_log()
            if self.is_owner_gone or process.returncode == 0:
                return self._shut_down(process)
            now = time.monotonic()
            crashes = [*(moment for moment in crashes if moment > now - 60), now]
            if not announced or len(crashes) > CRASHES_PER_MINUTE or not self._clear():
                return 1
            self._wait(0.1 * (len(crashes) - 1))

    def _launch(self) -> "subprocess.Popen[bytes]":
        spec = self.spec
        with Path(spec.log).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - the command comes from the launcher
                spec.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=spec.user,
                group=spec.group,
                extra_groups=None if spec.user is None else [],
                preexec_fn=_bind_to_parent(os.getpid()),  # noqa: PLW1509 - this process has only one thread
            )

    def _is_running(self, process: "subprocess.Popen[bytes]") -> bool:
        return process.poll() is None and not self.is_owner_gone

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> bool:
        pid_file = Path(self.spec.data, "postmaster.pid")
        while self._is_running(process):
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
            self.is_owner_gone = True
        return True

    def _clear(self) -> bool:
        """End the remaining backends, after a short wait, so that their memory is free."""
        return end_leftover_processes(self.spec.data, wait_seconds=0.5)

    def _wait(self, seconds: float) -> None:
        """Sleep until a signal (the end of a child is one), the end of the owner, or the given time."""
        readable, _, _ = select.select([0, self.wake], [], [], seconds)
        if self.wake in readable:
            os.read(self.wake, 4096)
        # A process that the owner forked may keep the pipe open, so the parent is checked too.
        if (0 in readable and not os.read(0, 4096)) or os.getppid() != self.spec.owner:
            self.is_owner_gone = True

    def _on_stop_signal(self, _sign: int, _frame: FrameType | None) -> None:
        self.is_owner_gone = True

    def _truncate_log(self) -> None:
        """Move a large log to `.log.1`; Postgres appends, so the file can be truncated while it is open."""
        log = Path(self.spec.log)
        try:
            if log.stat().st_size > LOG_LIMIT_BYTES:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)
        except OSError:
            return

    def _shut_down(self, process: "subprocess.Popen[bytes]") -> int:
        try:
            Path(self.spec.announcement).unlink(missing_ok=True)
        except OSError as error:
            print(error, file=sys.stderr)  # noqa: T201 - standard error is the log
        for sign, seconds in SHUTDOWN_SIGNALS:
            if process.poll() is not None:
                break
            process.send_signal(sign)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        # After SIGKILL the backends are still running.
        return 0 if process.returncode == 0 or self._clear() else 1


if __name__ == "__main__":
    sys.exit(Supervisor(LaunchSpec(**json.loads(sys.argv[1]))).run())
