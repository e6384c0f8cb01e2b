"""The tables, one file per noun."""

from database.models.accounts import Account, ApiKey, User, UserRole
from database.models.changes import Change
from database.models.everlytic import (
    CallbackEventRecord,
    CampaignReportRecord,
    ProviderTransaction,
    SyncCursor,
    WebhookDelivery,
)
from database.models.imports import DuplicatePolicy, ImportState, LeadImport, LeadImportRow, RowOutcome
from database.models.jobs import JobStatus, JobWorker, ScheduledJob, WorkspaceLimit
from database.models.leads import Lead, LeadEventRecord, LeadList, Suppression
from database.models.mail import (
    DraftStatus,
    EmailDraft,
    EmailEvent,
    EmailEventType,
    Reply,
    SendAttempt,
    SendOutcome,
)
from database.models.sequences import (
    EnrollmentEventRecord,
    LeadEnrollment,
    Sequence,
    SequenceStatus,
    SequenceStep,
)
from database.models.workspaces import EverlyticConnection, Workspace

__all__ = [
    "Account",
    "ApiKey",
    "CallbackEventRecord",
    "CampaignReportRecord",
    "Change",
    "DraftStatus",
    "DuplicatePolicy",
    "EmailDraft",
    "EmailEvent",
    "EmailEventType",
    "EnrollmentEventRecord",
    "EverlyticConnection",
    "ImportState",
    "JobStatus",
    "JobWorker",
    "Lead",
    "LeadEnrollment",
    "LeadEventRecord",
    "LeadImport",
    "LeadImportRow",
    "LeadList",
    "ProviderTransaction",
    "Reply",
    "RowOutcome",
    "ScheduledJob",
    "SendAttempt",
    "SendOutcome",
    "Sequence",
    "SequenceStatus",
    "SequenceStep",
    "Suppression",
    "SyncCursor",
    "User",
    "UserRole",
    "WebhookDelivery",
    "Workspace",
    "WorkspaceLimit",
]
