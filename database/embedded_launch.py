"""Starting an embedded Postgres under its supervisor, hearing that it is ready, and ending it."""

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import time

from database import embedded_process
from database.embedded_binaries import EmbeddedPostgresError, environment, telling_line
from database.embedded_cluster import Cluster

HOST = "127.0.0.1"
PORT_ATTEMPTS = 5
LEFTOVER_SECONDS = 5.0
# With less room than this Postgres may not even be able to say that the disk is full.
FULL_BYTES = 64 * 1024

ALWAYS = {
    "listen_addresses": HOST,
    # Socket paths are short by law of the operating system; home paths are not.
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # Files in the data directory: nothing is left in /dev/shm after a kill, and a container's small one does not fill.
    "dynamic_shared_memory_type": "mmap",
    "autovacuum": "on",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "logging_collector": "off",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "256MB"}
FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class PortTakenError(EmbeddedPostgresError):
    """Another program took the port between the choice and the start."""


def launch(
    cluster: Cluster, lock: int, *, durable: bool, deadline: float, port: int | None = None
) -> "tuple[subprocess.Popen[bytes], int]":
    """Start Postgres and wait until it accepts connections; returns the supervisor and the port.

    Without `port` a free one is chosen, and chosen anew when another program takes it first. `deadline` is a
    `time.monotonic()` moment. The supervisor inherits the file descriptor `lock`. To be called by the lock's holder.
    """
    if not embedded_process.clear_leftovers(str(cluster.data), LEFTOVER_SECONDS):
        raise EmbeddedPostgresError(f"Processes of an earlier Postgres in {cluster.data} do not end: end them by hand.")
    for _ in range(PORT_ATTEMPTS - 1):
        with contextlib.suppress(PortTakenError):
            return _launch_on(cluster, lock, port or _free_port(), durable, deadline)
    return _launch_on(cluster, lock, port or _free_port(), durable, deadline)


def close_pipes(supervisor: "subprocess.Popen[bytes]") -> None:
    """Let go of the supervisor: it shuts Postgres down."""
    for pipe in (supervisor.stdin, supervisor.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _launch_on(
    cluster: Cluster, lock: int, port: int, durable: bool, deadline: float
) -> "tuple[subprocess.Popen[bytes], int]":
    if cluster.log.exists():
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    supervisor = _supervise(cluster, lock, port, durable)
    try:
        if _ready(supervisor, deadline):
            return supervisor, port
    except BaseException:
        close_pipes(supervisor)
        supervisor.wait()
        raise
    close_pipes(supervisor)
    supervisor.wait()
    said = cluster.log.read_text(encoding="utf-8", errors="replace")
    fault = telling_line(said) or "its log is empty"
    if "could not bind" in said or "could not create any TCP/IP sockets" in said:
        raise PortTakenError(f"Postgres in {cluster.data} found no free port: {fault}")
    if "No space left" in said or min(shutil.disk_usage(at).free for at in (cluster.data, cluster.home)) < FULL_BYTES:
        raise EmbeddedPostgresError(f"The disk of {cluster.data} is full, so Postgres cannot start: {fault}")
    if time.monotonic() > deadline:
        raise EmbeddedPostgresError(f"Postgres in {cluster.data} did not become ready in time: see {cluster.log}.")
    raise EmbeddedPostgresError(f"Postgres in {cluster.data} does not start: {fault} (see {cluster.log})")


def _supervise(cluster: Cluster, lock: int, port: int, durable: bool) -> "subprocess.Popen[bytes]":
    settings = ALWAYS | (DURABLE if durable else FORGETFUL) | {"port": str(port)}
    command = [str(cluster.binaries / "postgres"), "-D", str(cluster.data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    order = embedded_process.Order(
        command=command,
        data=str(cluster.data),
        log=str(cluster.log),
        announcement=str(cluster.announcement),
        owner=os.getpid(),
        user=cluster.stand_in.user if cluster.stand_in else None,
        group=cluster.stand_in.group if cluster.stand_in else None,
    )
    log = os.open(cluster.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own script under this Python
            # Isolated and without site-packages: it starts in 20 ms and nothing in the environment steers it.
            [sys.executable, "-I", "-S", embedded_process.__file__, order.to_text()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env=environment(),
            pass_fds=(lock,),
            # A Ctrl-C in the terminal is for the clients; they end first.
            start_new_session=True,
        )
    finally:
        os.close(log)


def _ready(supervisor: "subprocess.Popen[bytes]", deadline: float) -> bool:
    assert supervisor.stdout is not None
    handle = supervisor.stdout.fileno()
    readable, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
    return bool(readable) and os.read(handle, 64) == embedded_process.READY


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
