"""The SQLAlchemy models of all tables."""

from database.models.accounts import Account, ApiKey, IdempotencyKey, User, UserRole
from database.models.ai import AiReservation, AiUsage
from database.models.changes import Change
from database.models.everlytic import (
    CallbackEventRecord,
    CampaignReportRecord,
    ProviderTransaction,
    SyncCursor,
    WebhookDelivery,
)
from database.models.imports import (
    DuplicatePolicy,
    LeadImport,
    LeadImportBlock,
    LeadImportChange,
    LeadImportMapping,
    LeadImportRow,
)
from database.models.jobs import JobWorker, ScheduledJob, WorkspaceLimit
from database.models.leads import Lead, LeadEventRecord, LeadList, Suppression, SuppressionRemoval
from database.models.mail import (
    EmailDraft,
    EmailEvent,
    EmailEventType,
    ReleasedClaim,
    Reply,
    ReplyCorrection,
    SendAttempt,
    SendOutcome,
    SendSettlement,
    SendSlot,
)
from database.models.mailboxes import Mailbox, MailboxSecurity
from database.models.sequences import (
    EnrollmentEventRecord,
    LeadEnrollment,
    Sequence,
    SequenceStep,
)
from database.models.workspaces import EverlyticConnection, Workspace
from domain.draft import DraftStatus
from domain.job import JobStatus
from domain.sequence import SequenceStatus

__all__ = [
    "Account",
    "AiReservation",
    "AiUsage",
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
    "IdempotencyKey",
    "JobStatus",
    "JobWorker",
    "Lead",
    "LeadEnrollment",
    "LeadEventRecord",
    "LeadImport",
    "LeadImportBlock",
    "LeadImportChange",
    "LeadImportMapping",
    "LeadImportRow",
    "LeadList",
    "Mailbox",
    "MailboxSecurity",
    "ProviderTransaction",
    "ReleasedClaim",
    "Reply",
    "ReplyCorrection",
    "ScheduledJob",
    "SendAttempt",
    "SendOutcome",
    "SendSettlement",
    "SendSlot",
    "Sequence",
    "SequenceStatus",
    "SequenceStep",
    "Suppression",
    "SuppressionRemoval",
    "SyncCursor",
    "User",
    "UserRole",
    "WebhookDelivery",
    "Workspace",
    "WorkspaceLimit",
]
