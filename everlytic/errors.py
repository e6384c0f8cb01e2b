"""The errors of a call to Everlytic, grouped by what is known about its outcome.

::

    EverlyticError
    ├── NotSent                   Everlytic certainly did not do it            outcome "rejected"
    │   ├── Unauthorized          401, 403: our credentials are wrong
    │   ├── QuotaExceeded         402, or 403 or 429 that mention a quota: retry later
    │   ├── InvalidRequest        400, 404, 422 with known reasons: our content is wrong
    │   ├── NotFound              404 on any call but a send
    │   ├── RateLimited           429: retry after ``retry_after``
    │   ├── Unavailable           503 with Retry-After, 403 from a firewall: retry later
    │   └── Unreachable           no connection, so no byte was sent
    ├── OutcomeUnknown            it may have been done; look it up before a retry   outcome "unknown"
    │   ├── TimedOut              no response in time after the request was sent
    │   ├── ConnectionLost        the connection broke after the request was sent
    │   ├── ServerError           5xx
    │   ├── UnrecognisedResponse  a response with an unknown meaning (a 4xx such as 10601, a 2xx without an id)
    │   └── ListTooLong           a list that does not end within the limits
    └── MalformedDelivery         a webhook body that cannot be parsed

``error.outcome`` says whether the call may have taken effect, ``error.fault`` who has to fix the cause. Everlytic has
answered 400 and still delivered the mail, so a 4xx is ``rejected`` only when its reasons are known.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class Outcome(StrEnum):
    """What is known about a call that failed."""

    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """Who has to fix the cause before the same call can succeed."""

    OURS = "ours"
    PROVIDER = "provider"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Problem:
    """One validation problem of a request: its location and what is wrong."""

    location: str
    reason: str
    message: str


class EverlyticError(Exception):
    """Base of all errors of this package.

    ``status`` is the HTTP status (None without a response), ``code`` the provider's own error code as text,
    ``problems`` the validation problems that it named.
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
        """How many seconds the provider asks us to wait; None when it did not say."""


class NotSent(EverlyticError):
    """The provider certainly did not carry out the request."""

    outcome = Outcome.REJECTED
    fault = Fault.OURS


class Unauthorized(NotSent):
    """The credentials were refused (401) or do not allow this call (403)."""


class InvalidRequest(NotSent):
    """The provider refused the content; ``problems`` has its reasons."""


class NotFound(NotSent):
    """The requested object does not exist at the provider."""


class QuotaExceeded(NotSent):
    """The account's quota is used up; nothing was accepted."""

    fault = Fault.PROVIDER


class RateLimited(NotSent):
    """429: too many requests; nothing was accepted."""

    fault = Fault.PROVIDER


class Unavailable(NotSent):
    """503 with Retry-After, or a page of a firewall: the request was not processed."""

    fault = Fault.PROVIDER


class Unreachable(NotSent):
    """No connection was made, so nothing was sent."""

    fault = Fault.NETWORK


class OutcomeUnknown(EverlyticError):
    """The request may or may not have taken effect. Never retry a send after this error; look it up first."""


class TimedOut(OutcomeUnknown):
    """The request was sent and no response arrived in time."""

    fault = Fault.NETWORK


class ConnectionLost(OutcomeUnknown):
    """The connection broke after the request, or a part of it, was sent."""

    fault = Fault.NETWORK


class ServerError(OutcomeUnknown):
    """The provider answered with a 5xx status."""


class UnrecognisedResponse(OutcomeUnknown):
    """The meaning of the provider's response is not known."""


class ListTooLong(OutcomeUnknown):
    """A list has more pages, or takes longer, than the limits allow; its rest was not read."""


class MalformedDelivery(EverlyticError):
    """A webhook body that is neither JSON nor a form, or contains no event."""
