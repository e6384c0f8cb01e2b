"""Why a call to a host that a tenant configured was not made, or not read to its end; the sentences are our own."""

import httpx


class EgressError(Exception):
    """Base of the errors of this package; the sentence contains nothing that the other server said."""


class AddressRefused(EgressError, OSError):
    """The host has an address to which tenants may not connect, so no connection was made."""


class NameNotFound(EgressError, OSError):
    """The name of the host has no address, so no connection was made."""


class RefusedConnection(EgressError, httpx.ConnectError):
    """No connection was made, because the host has no address that may be used."""


class DeadlineExceeded(EgressError, httpx.ReadTimeout):
    """The call did not end in time, however steadily the server sends."""


class AnswerRefused(EgressError, httpx.DecodingError):
    """The answer is longer than allowed, or has an encoding that was not requested."""
