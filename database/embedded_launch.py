"""Starts an embedded Postgres under its supervisor, waits until it is ready, and stops it."""

import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import time

from database import embedded_process
from database.embedded_binaries import EmbeddedPostgresError, build_environment, find_error_line
from database.embedded_cluster import Cluster

HOST = "127.0.0.1"
PORT_ATTEMPTS = 5
LEFTOVER_SECONDS = 5.0
# With less free space Postgres may be unable to log that the disk is full.
MIN_FREE_BYTES = 64 * 1024

COMMON_SETTINGS = {
    "listen_addresses": HOST,
    # The operating system limits the length of socket paths, and the path of a home may be longer.
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # Uses files in the data directory: a kill leaves nothing in /dev/shm, which is small in containers.
    "dynamic_shared_memory_type": "mmap",
    "autovacuum": "on",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "logging_collector": "off",
}
DURABLE_SETTINGS = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "256MB"}
NONDURABLE_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class PortTakenError(EmbeddedPostgresError):
    """Another program opened the port before Postgres started."""


def launch(
    cluster: Cluster, lock: int, *, durable: bool, deadline: float, port: int | None = None
) -> "tuple[subprocess.Popen[bytes], int]":
    """Start Postgres and wait until it accepts connections; returns the supervisor and the port.

    Without `port` it chooses a free port, and another one when a program opens that port first. `deadline` is a
    `time.monotonic()` time. The supervisor inherits the file descriptor `lock`; the caller must own the lock.
    """
    if not embedded_process.end_leftover_processes(str(cluster.data), LEFTOVER_SECONDS):
        raise EmbeddedPostgresError(
            f"Processes of an earlier Postgres in {cluster.data} did not end. Kill them manually."
        )
    for _ in range(PORT_ATTEMPTS - 1):
        with contextlib.suppress(PortTakenError):
            return _launch_on_port(cluster, lock, port or _free_port(), durable, deadline)
    return _launch_on_port(cluster, lock, port or _free_port(), durable, deadline)


def close_pipes(supervisor: "subprocess.Popen[bytes]") -> None:
    """Close the pipes to the supervisor, which then shuts Postgres down."""
    for pipe in (supervisor.stdin, supervisor.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _launch_on_port(
    cluster: Cluster, lock: int, port: int, durable: bool, deadline: float
) -> "tuple[subprocess.Popen[bytes], int]":
    if cluster.log.exists():
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    supervisor = _start_supervisor(cluster, lock, port, durable)
    try:
        if _wait_until_ready(supervisor, deadline):
            return supervisor, port
    except BaseException:
        close_pipes(supervisor)
        supervisor.wait()
        raise
    close_pipes(supervisor)
    supervisor.wait()
    log = cluster.log.read_text(encoding="utf-8", errors="replace")
    reason = find_error_line(log) or "its log is empty"
    if "could not bind" in log or "could not create any TCP/IP sockets" in log:
        raise PortTakenError(f"Postgres in {cluster.data} found no free port: {reason}")
    free_bytes = min(shutil.disk_usage(path).free for path in (cluster.data, cluster.home))
    if "No space left" in log or free_bytes < MIN_FREE_BYTES:
        raise EmbeddedPostgresError(f"The disk of {cluster.data} is full, so Postgres cannot start: {reason}")
    if time.monotonic() > deadline:
        raise EmbeddedPostgresError(f"Postgres in {cluster.data} was not ready in time. See {cluster.log}.")
    raise EmbeddedPostgresError(f"Postgres in {cluster.data} did not start: {reason} (see {cluster.log})")


def _start_supervisor(cluster: Cluster, lock: int, port: int, durable: bool) -> "subprocess.Popen[bytes]":
    settings = COMMON_SETTINGS | (DURABLE_SETTINGS if durable else NONDURABLE_SETTINGS) | {"port": str(port)}
    command = [str(cluster.binaries / "postgres"), "-D", str(cluster.data)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    spec = embedded_process.LaunchSpec(
        command=command,
        data=str(cluster.data),
        log=str(cluster.log),
        announcement=str(cluster.announcement),
        owner=os.getpid(),
        user=cluster.unprivileged_user.user if cluster.unprivileged_user else None,
        group=cluster.unprivileged_user.group if cluster.unprivileged_user else None,
    )
    log = os.open(cluster.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own script
            # Isolated and without site-packages: it starts in 20 ms and ignores the environment.
            [sys.executable, "-I", "-S", embedded_process.__file__, spec.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env=build_environment(),
            pass_fds=(lock,),
            # Ctrl-C in the terminal must not reach Postgres before its clients end.
            start_new_session=True,
        )
    finally:
        os.close(log)


def _wait_until_ready(supervisor: "subprocess.Popen[bytes]", deadline: float) -> bool:
    assert supervisor.stdout is not None
    handle = supervisor.stdout.fileno()
    readable, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
    return bool(readable) and os.read(handle, 64) == embedded_process.READY


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
