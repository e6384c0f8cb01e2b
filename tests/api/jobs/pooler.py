"""A real PgBouncer in transaction mode in front of the test's server, as with Neon."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg

from database.roles import APP_ROLE, ENGINE_ROLE, libpq_url, owner_url, role_url
from tests.optional_programs import find_program
from tests.postgres import new_home, remove_home

PROGRAM = find_program("pgbouncer")
SECONDS = 20.0

CONFIGURATION = """
[databases]
* = host={host} port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 8
"""


@contextmanager
def pooled(database_url: str) -> Iterator[str]:
    """Run a pooler for the roles of the app and the engine; yields the URL of the same database through it."""
    assert PROGRAM is not None
    owner, parts, home = owner_url(database_url), urlsplit(database_url), new_home()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    users, configuration = home / "users.txt", home / "pgbouncer.ini"
    roles = [role_url(owner, role) for role in (APP_ROLE, ENGINE_ROLE)]
    users.write_text("".join(f'"{role.username}" "{role.password}"\n' for role in roles))
    configuration.write_text(CONFIGURATION.format(host=parts.hostname, server_port=parts.port, port=port, users=users))
    # It refuses to be root.
    command = [PROGRAM, *(["-u", "nobody"] if os.geteuid() == 0 else []), str(configuration)]
    netloc = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"
    url = urlunsplit(parts._replace(netloc=netloc))
    with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_for(url, process)
            yield url
        finally:
            process.kill()
    remove_home(home)


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        assert process.poll() is None, "the pooler has ended"
        try:
            psycopg.connect(libpq_url(role_url(owner_url(url), ENGINE_ROLE)), connect_timeout=5).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the pooler does not answer"
            time.sleep(0.02)
        else:
            return
