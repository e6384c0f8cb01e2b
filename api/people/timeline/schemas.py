"""The response bodies of timelines."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from api.http.pagination import Wire


class TimelineKind(StrEnum):
    """The kind of an event of a lead."""

    LEAD_CREATED = "lead_created"
    LEAD_MOVED = "lead_moved"
    ENROLLED = "enrolled"
    ENROLLMENT_MOVED = "enrollment_moved"
    DRAFT_CREATED = "draft_created"
    DRAFT_SENT = "draft_sent"
    DRAFT_FAILED = "draft_failed"
    EMAIL_SENT = "email_sent"
    EMAIL_DELIVERED = "email_delivered"
    EMAIL_OPENED = "email_opened"
    EMAIL_CLICKED = "email_clicked"
    EMAIL_BOUNCED = "email_bounced"
    EMAIL_COMPLAINED = "email_complained"
    EMAIL_UNSUBSCRIBED = "email_unsubscribed"
    REPLY_RECEIVED = "reply_received"
    SUPPRESSED = "suppressed"
    SUPPRESSION_REMOVED = "suppression_removed"


class TimelineItem(Wire):
    """One event of a lead."""

    id: Annotated[str, Field(description="Unique and stable within the timeline.")]
    at: datetime
    kind: Annotated[
        TimelineKind,
        Field(
            description="`draft_…` are our steps with a message, `email_…` are events from the provider; "
            "`lead_moved` and `enrollment_moved` are changes of status."
        ),
    ]
    title: Annotated[
        str | None, Field(description="The subject of a message, the name of a sequence, or the old and new status.")
    ]
    data: Annotated[
        dict[str, str | int | bool | None],
        Field(
            description="Details by kind. `lead_created`: listId. `lead_moved`: from, to, event, cause. "
            "`enrolled`: enrollmentId, sequenceId. `enrollment_moved`: the fields of both. `draft_…`: draftId, "
            "enrollmentId, sequenceId, stepOrder, errorReason. `email_…`: eventId, draftId, verdict, bounceType, url. "
            "`reply_received`: replyId, draftId, intent, isAutomatic. `suppressed`: kind (email or domain), reason, "
            "source. `suppression_removed`: kind, reason, removedBecause, removedBy."
        ),
    ]
