"""Finding out beforehand whether a port can be had."""

import errno
import socket

from salesmatter.errors import PortTaken, StartError


def require_free(host: str, port: int, option: str, variable: str) -> None:
    """Raise PortTaken when another program listens there; `option` and `variable` are how to choose another."""
    with socket.socket() as probe:
        # As servers do: connections that linger from an earlier run do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"Port {port} on {host} is taken by another program. End it, "
                    f"or choose another port with {option} or {variable}."
                ) from error
            raise StartError(f"Port {port} on {host} cannot be used: {error.strerror}.") from error


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
