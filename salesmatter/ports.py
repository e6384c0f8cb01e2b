"""Checks for used ports and finds free ones."""

import errno
import socket

from salesmatter.errors import PortTaken, StartError


def require_free_port(host: str, port: int, option: str, variable: str) -> None:
    """Raise PortTaken if another program listens on the port; `option` and `variable` set another port."""
    with socket.socket() as probe:
        # As servers do, so that connections in TIME_WAIT from an earlier run do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"Port {port} on {host} is used by another program. Stop that program, "
                    f"or choose another port with {option} or {variable}."
                ) from error
            raise StartError(f"Port {port} on {host} cannot be used: {error.strerror}.") from error


def find_free_port(host: str = "127.0.0.1") -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
