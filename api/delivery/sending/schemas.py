"""What is said of sending on the wire."""

from datetime import datetime
from uuid import UUID

from api.http.pagination import Wire
from domain.enrollment import EnrollmentStatus
from domain.schedule import Constraint


class ConsideredOut(Wire):
    """A constraint, and the time it moved the mail to; null where it does not hold it."""

    constraint: Constraint
    at: datetime | None


class Explanation(Wire):
    """When the next step goes out, and what holds it until then.

    `sendsAt` is the time at which it goes out once nothing else holds it; null when there is nothing to send.
    """

    status: EnrollmentStatus
    step_order: int
    step_id: UUID | None
    draft_id: UUID | None
    sends_at: datetime | None
    binding: Constraint | None
    considered: list[ConsideredOut]
    """Every constraint: those that move the time in the order in which they do, then the others."""
    held_by: str | None
    """All that keeps it from being sent for now, such as a pause; null when only time does."""
    holds: list[str]
    """The same, a sentence each."""
