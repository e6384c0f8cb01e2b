"""Blocking connections by the policy, for protocols that are not HTTP."""

import socket
import time

from egress.policy import EgressPolicy


def connect(policy: EgressPolicy, host: str, port: int, seconds: float) -> socket.socket:
    """Connect to one of the host's checked addresses; raises AddressRefused, NameNotFound and OSError.

    TLS on the socket must verify the certificate against the name `host`.
    """
    addresses = policy.resolve_blocking(host)
    deadline = time.monotonic() + seconds
    for attempt, address in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - attempt)
        try:
            return socket.create_connection((address, port), max(share, 0.001))
        except OSError:
            if attempt == len(addresses) - 1:
                raise
    raise AssertionError("a host has at least one address")
