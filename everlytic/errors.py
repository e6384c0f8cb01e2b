"""Every way a call to Everlytic can go wrong, sorted by what is then known about its outcome.

::

    EverlyticError
    ├── NotSent                 the provider surely did not do it          outcome "rejected"
    │   ├── Unauthorized        401, 403: our credentials
    │   ├── QuotaUsedUp         402, or 403 or 429 that speak of a quota: later
    │   ├── InvalidRequest      400, 404, 422 with recognised reasons: our content
    │   ├── NotFound            404 on anything but a send
    │   ├── RateLimited         429: later, after ``retry_after``
    │   ├── Unavailable         503 with Retry-After, 403 from a server in front: later
    │   └── Unreachable         no connection: nothing left this machine
    ├── OutcomeUnknown          it may have been done; look before trying again   outcome "unknown"
    │   ├── TimedOut            no answer in time after the request went out
    │   ├── ConnectionLost      the connection broke after the request went out
    │   ├── ProviderBroken      5xx
    │   └── UnrecognisedAnswer  an answer whose meaning is not known (a 4xx such as 10601, a 2xx without an id)
    └── MalformedDelivery       a webhook body that cannot be read at all

``error.outcome`` and ``error.fault`` answer the two questions a caller has. Everlytic has answered 400 and delivered
the mail all the same, so a 4xx is ``rejected`` only when its reasons are known.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Outcome(StrEnum):
    """What is known about a call that failed."""

    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """Who has to change something before the same call can succeed."""

    OURS = "ours"
    PROVIDER = "provider"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint of the provider about a request: where it is and what is wrong with it."""

    location: str
    reason: str
    message: str


class EverlyticError(Exception):
    """Base of all errors of this room.

    ``status`` is the HTTP status (None when there was no answer), ``code`` the provider's own error code as text,
    ``problems`` its complaints where it named any.
    """

    outcome: ClassVar[Outcome] = Outcome.UNKNOWN
    fault: ClassVar[Fault] = Fault.PROVIDER

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        problems: tuple[Problem, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.problems = problems
        self.retry_after = retry_after
        """Seconds the provider asks us to wait; None where it did not say."""


class NotSent(EverlyticError):
    """The provider surely did not do what was asked."""

    outcome = Outcome.REJECTED
    fault = Fault.OURS


class Unauthorized(NotSent):
    """The credentials were refused (401) or do not allow this call (403)."""


class InvalidRequest(NotSent):
    """The provider refused the content for reasons it named; see ``problems``."""


class NotFound(NotSent):
    """The thing asked for does not exist at the provider."""


class QuotaUsedUp(NotSent):
    """The account may send no more for now; nothing was accepted. ``retry_after`` seconds if the provider said so."""

    fault = Fault.PROVIDER


class RateLimited(NotSent):
    """429: too many requests; nothing was accepted. ``retry_after`` seconds if the provider said so."""

    fault = Fault.PROVIDER


class Unavailable(NotSent):
    """503 with Retry-After, or a page of a server in front: the request was turned away for now."""

    fault = Fault.PROVIDER


class Unreachable(NotSent):
    """No connection was made, so the request never left."""

    fault = Fault.NETWORK


class OutcomeUnknown(EverlyticError):
    """The provider may or may not have done it. Never repeat a send on this; look for it first."""


class TimedOut(OutcomeUnknown):
    """The request went out and no answer came in time."""

    fault = Fault.NETWORK


class ConnectionLost(OutcomeUnknown):
    """The connection broke after the request, or a part of it, went out."""

    fault = Fault.NETWORK


class ProviderBroken(OutcomeUnknown):
    """The provider answered with a server error."""


class UnrecognisedAnswer(OutcomeUnknown):
    """The provider answered something whose meaning is not known."""


class MalformedDelivery(EverlyticError):
    """A webhook body that is neither JSON nor a form, or holds no event."""
