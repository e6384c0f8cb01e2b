"""The SQL of erasure: rows stay for statistics, personal data is removed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Text, TextClause, any_, case, cast, func, select, text, union, union_all, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncSession

from database.conditions import account_of, applies_to
from database.landing import allow_long_statements
from database.models import EmailDraft, Lead, ReleasedClaim, SendAttempt, Suppression, SuppressionRemoval

ERASED = "erased"
"""The source of a suppression by an erasure, or of one whose source was erased."""
_OWN_SOURCES = (
    "^(by hand|everlytic|complained|unsubscribed at Everlytic|(by|by user|reply|link in draft) [0-9a-f-]{36})$"
)
"""Sources that users have not written."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What identifies the traces of a person; `mention` and `message` are patterns for lower-case text, or None."""

    lead_ids: Sequence[UUID]
    draft_ids: Sequence[str]
    transaction_ids: Sequence[str]
    addresses: Sequence[str]
    mention: str | None
    message: str | None


_EMPTY_DRAFTS = text(
    """
    WITH locked AS (
      SELECT draft.id,
             draft.status <> 'sent'
             AND NOT EXISTS (SELECT 1 FROM app.send_attempts AS attempt WHERE attempt.draft_id = draft.id) AS is_unsent
        FROM app.email_drafts AS draft
       WHERE draft.workspace_id = :workspace_id AND draft.lead_id = ANY(CAST(:lead_ids AS uuid[]))
       ORDER BY draft.id
         FOR NO KEY UPDATE OF draft
    )
    UPDATE app.email_drafts AS draft
       SET subject = '', body = '', body_html = '', generation = NULL, written = NULL, warnings = '[]',
           status = CASE WHEN locked.is_unsent THEN 'failed' ELSE draft.status END,
           error_reason = CASE WHEN locked.is_unsent THEN :reason END
      FROM locked
     WHERE draft.id = locked.id
    """
)

_EMPTY_ATTEMPTS = text(
    """
    UPDATE app.send_attempts AS attempt
       SET error = NULL, recipient = NULL, subject = '',
           recipient_hash = coalesce(
             app.suppression_hash((SELECT account_id FROM app.workspaces WHERE id = :workspace_id), attempt.recipient),
             attempt.recipient_hash)
      FROM app.email_drafts AS draft
     WHERE draft.workspace_id = :workspace_id AND draft.lead_id = ANY(CAST(:lead_ids AS uuid[]))
       AND attempt.draft_id = draft.id
    """
)

_EMPTY_RELEASED_CLAIMS = text(
    """
    UPDATE app.released_claims AS released
       SET recipient = NULL, subject = '',
           recipient_hash = coalesce(
             app.suppression_hash((SELECT account_id FROM app.workspaces WHERE id = :workspace_id), released.recipient),
             released.recipient_hash)
      FROM app.email_drafts AS draft
     WHERE draft.workspace_id = :workspace_id AND draft.lead_id = ANY(CAST(:lead_ids AS uuid[]))
       AND released.draft_id = draft.id
    """
)

_EMPTY_SETTLEMENTS = text(
    """
    UPDATE app.send_settlements AS settlement
       SET note = ''
      FROM app.email_drafts AS draft
     WHERE draft.workspace_id = :workspace_id AND draft.lead_id = ANY(CAST(:lead_ids AS uuid[]))
       AND settlement.draft_id = draft.id AND settlement.note <> ''
    """
)

_EMPTY_REPLIES = text(
    """
    UPDATE app.replies
       SET from_email = '', subject = '', text = '', headers = '[]', report = NULL
     WHERE workspace_id = :workspace_id AND lead_id = ANY(CAST(:lead_ids AS uuid[]))
    """
)

# The type of a bounce stays, because statistics need it.
_EMPTY_EVENTS = text(
    """
    UPDATE app.email_events AS event
       SET data = coalesce(
             (SELECT jsonb_object_agg(key, value) FROM jsonb_each(event.data)
               WHERE key IN ('bounce_type', 'kind', 'by')), '{}')
      FROM app.email_drafts AS draft
     WHERE draft.workspace_id = :workspace_id AND draft.lead_id = ANY(CAST(:lead_ids AS uuid[]))
       AND event.draft_id = draft.id
    """
)

_REPLIES = text(
    """
    UPDATE app.replies
       SET from_email = '', subject = '', text = '', headers = '[]', report = NULL
     WHERE workspace_id = :workspace_id
       AND (from_email = ANY(CAST(:addresses AS text[]))
            -- A report that matched no mail may still name the address.
            OR EXISTS (SELECT FROM unnest(CAST(:addresses AS text[])) AS address
                        WHERE report @> jsonb_build_object('recipients', jsonb_build_array(
                                jsonb_build_object('addresses', jsonb_build_array(address))))))
    """
)

# A mail that is read again is known by its identity_hash, which stays.
_MESSAGE_IDS = text(
    """
    UPDATE app.replies
       SET message_id = ''
     WHERE workspace_id = :workspace_id AND lower(message_id) ~ CAST(:mention AS text)
    """
)

_REMOVALS = text(
    """
    UPDATE app.suppression_removals
       SET source = CASE WHEN lower(source) ~ CAST(:mention AS text) THEN '' ELSE source END,
           removed_because = CASE WHEN lower(removed_because) ~ CAST(:mention AS text) THEN '' ELSE removed_because END
     WHERE account_id = (SELECT account_id FROM app.workspaces WHERE id = :workspace_id)
       AND (workspace_id IS NULL OR workspace_id = :workspace_id)
       AND (lower(source) ~ CAST(:mention AS text) OR lower(removed_because) ~ CAST(:mention AS text))
    """
)

_SUPPRESSIONS = text(
    """
    UPDATE app.suppressions
       SET source = ''
     WHERE account_id = (SELECT account_id FROM app.workspaces WHERE id = :workspace_id)
       AND (workspace_id IS NULL OR workspace_id = :workspace_id) AND lower(source) ~ CAST(:mention AS text)
    """
)

_LEAD_EVENTS = text(
    """
    UPDATE app.lead_events SET cause = ''
     WHERE workspace_id = :workspace_id AND lower(cause) ~ CAST(:mention AS text)
    """
)

# Of a cause with the reason that a user wrote, only the user stays.
_ENROLLMENT_EVENTS = text(
    """
    UPDATE app.enrollment_events
       SET cause = coalesce(substring(cause FROM '^by user [0-9a-f-]{36}'), '')
     WHERE workspace_id = :workspace_id
       AND (lower(cause) ~ CAST(:mention AS text)
            OR (cause ~ '^by user [0-9a-f-]{36}: '
                AND enrollment_id IN (SELECT id FROM app.lead_enrollments
                                       WHERE workspace_id = :workspace_id
                                         AND lead_id = ANY(CAST(:lead_ids AS uuid[])))))
    """
)

_TRANSACTIONS = text(
    """
    UPDATE everlytic.transactions
       SET recipient = NULL, bounce_reason = NULL, raw = '{}'
     WHERE workspace_id = :workspace_id
       AND (message_id = ANY(CAST(:draft_ids AS text[])) OR transaction_id = ANY(CAST(:transaction_ids AS text[]))
            OR lower(recipient) = ANY(CAST(:addresses AS text[])))
    """
)

# A record that is not applied yet stays until it is applied; the statement counts these records.
_CALLBACKS = text(
    """
    WITH found AS (
      SELECT event_key, applied_at FROM everlytic.callback_events
       WHERE workspace_id = :workspace_id
         AND (message_id = ANY(CAST(:draft_ids AS text[])) OR transaction_id = ANY(CAST(:transaction_ids AS text[]))
              OR lower(recipient) = ANY(CAST(:addresses AS text[])))
    ),
    emptied AS (
      UPDATE everlytic.callback_events AS event
         SET recipient = NULL,
             raw = CASE WHEN event.raw ? 'bounce_type'
                        THEN jsonb_build_object('bounce_type', event.raw -> 'bounce_type') ELSE '{}' END
        FROM found
       WHERE event.workspace_id = :workspace_id AND event.event_key = found.event_key
         AND found.applied_at IS NOT NULL
    )
    SELECT count(*) FROM found WHERE applied_at IS NULL
    """
)

_DELIVERIES = text(
    """
    WITH found AS (
      SELECT id, applied_at FROM everlytic.webhook_deliveries
       WHERE workspace_id = :workspace_id AND body <> ''
         AND lower(encode(body, 'escape')) ~ CAST(:message AS text)
    ),
    emptied AS (
      UPDATE everlytic.webhook_deliveries AS delivery
         SET body = ''
        FROM found
       WHERE delivery.id = found.id AND found.applied_at IS NOT NULL
    )
    SELECT count(*) FROM found WHERE applied_at IS NULL
    """
)

_JOBS = text(
    """
    UPDATE app.scheduled_jobs
       SET last_error = NULL
     WHERE workspace_id = :workspace_id AND last_error IS NOT NULL
       AND (payload ->> 'draftId' = ANY(CAST(:draft_ids AS text[]))
            OR lower(last_error) ~ CAST(:mention AS text))
    """
)

_ARCHIVED_JOBS = text(_JOBS.text.replace("scheduled_jobs", "archived_jobs"))

_TRACES: Mapping[str, TextClause] = {
    "replies": _REPLIES,
    "message ids": _MESSAGE_IDS,
    "suppressions": _SUPPRESSIONS,
    "suppression removals": _REMOVALS,
    "lead events": _LEAD_EVENTS,
    "enrollment events": _ENROLLMENT_EVENTS,
    "transactions": _TRANSACTIONS,
    "callback events": _CALLBACKS,
    "webhook deliveries": _DELIVERIES,
    "jobs": _JOBS,
    "archived jobs": _ARCHIVED_JOBS,
}
PLACES = tuple(_TRACES)
"""The tables that are searched for traces; they are large and have no index on the person."""

_ERASE_JOB_PAYLOAD = text(
    "UPDATE app.scheduled_jobs SET payload = payload - 'address' - 'addresses' WHERE id = :job_id"
)


async def lock_person(session: AsyncSession, workspace_id: UUID, lead_id: UUID) -> Sequence[Lead]:
    """Return a lead and all leads with its address, deleted or not, locked until the transaction ends."""
    in_workspace = Lead.workspace_id == workspace_id
    address = select(Lead.email).where(in_workspace, Lead.id == lead_id, Lead.email != "").scalar_subquery()
    ids = union_all(
        select(Lead.id).where(in_workspace, Lead.id == lead_id),
        # Two selects, because live and deleted leads have separate indexes.
        select(Lead.id).where(in_workspace, Lead.email == address, Lead.deleted_at.is_(None)),
        select(Lead.id).where(in_workspace, Lead.email == address, Lead.deleted_at.is_not(None)),
    )
    statement = (
        select(Lead).where(in_workspace, Lead.id.in_(ids)).order_by(Lead.id).with_for_update(key_share=True, of=[Lead])
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def list_mailed_addresses(session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID]) -> list[str]:
    """Return the addresses that mails to leads were sent to, or may have been."""
    is_theirs = EmailDraft.workspace_id == workspace_id, EmailDraft.lead_id == any_(cast(lead_ids, ARRAY(PG_UUID)))
    recipients = union(
        *(
            select(claim.recipient).join(EmailDraft, EmailDraft.id == claim.draft_id).where(*is_theirs)
            for claim in (SendAttempt, ReleasedClaim)
        )
    )
    return sorted(filter(None, await session.scalars(recipients)))


async def list_held_addresses(
    session: AsyncSession, workspace_id: UUID, addresses: Sequence[str], *, except_leads: Sequence[UUID]
) -> set[str]:
    """Return those of the addresses that another lead has now, deleted or not."""
    has_address = (
        Lead.workspace_id == workspace_id,
        Lead.email == any_(cast(addresses, ARRAY(Text))),
        Lead.id.not_in(except_leads),
    )
    # Two selects, because live and deleted leads have separate indexes.
    held = union_all(
        select(Lead.email).where(*has_address, Lead.deleted_at.is_(None)),
        select(Lead.email).where(*has_address, Lead.deleted_at.is_not(None)),
    )
    return set((await session.scalars(held)).all())


async def delete_address(session: AsyncSession, workspace_id: UUID, address: str) -> None:
    """Erase an address from suppressions and removed suppressions, which keep its hash, and what users wrote there."""
    for table in (Suppression, SuppressionRemoval):
        hashed = func.app.suppression_hash(account_of(workspace_id), address)
        source = case((table.source.op("~")(_OWN_SOURCES), table.source), else_=ERASED)
        written = {"removed_because": ""} if table is SuppressionRemoval else {}
        await session.execute(
            update(table)
            .where(applies_to(table, workspace_id), table.value_hash == hashed)
            .values(value=None, source=source, **written)
            .execution_options(synchronize_session=False)
        )


async def erase_messages(session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], *, reason: str) -> None:
    """Erase the content of the drafts, attempts, settlements, replies and events of leads; unsent drafts fail."""
    parameters = {"workspace_id": workspace_id, "lead_ids": list(lead_ids)}
    await session.execute(_EMPTY_DRAFTS, {**parameters, "reason": reason})
    for statement in (_EMPTY_ATTEMPTS, _EMPTY_RELEASED_CLAIMS, _EMPTY_SETTLEMENTS, _EMPTY_REPLIES, _EMPTY_EVENTS):
        await session.execute(statement, parameters)


async def find_messages(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID]
) -> tuple[list[UUID], list[str]]:
    """Return the ids of the drafts of leads, and the ids of these messages at the provider."""
    result = await session.execute(
        select(EmailDraft.id, EmailDraft.everlytic_message_id, SendAttempt.everlytic_transaction_id)
        .outerjoin(SendAttempt, SendAttempt.draft_id == EmailDraft.id)
        .where(
            EmailDraft.workspace_id == workspace_id, EmailDraft.lead_id == any_(cast(list(lead_ids), ARRAY(PG_UUID)))
        )
    )
    rows = result.all()
    return [row[0] for row in rows], sorted(
        {message_id for row in rows for message_id in row[1:] if message_id is not None}
    )


async def erase_in(session: AsyncSession, workspace_id: UUID, place: str, traces: Traces) -> int:
    """Erase traces in one of PLACES; returns how many records must be applied before they can be erased."""
    await allow_long_statements(session)
    parameters = {"workspace_id": workspace_id, **asdict(traces)}
    statement = _TRACES[place]
    result: Any = await session.execute(statement, {name: parameters[name] for name in statement.compile().params})
    return int(result.scalar_one()) if result.returns_rows else 0


async def delete_job_payload(session: AsyncSession, job_id: UUID) -> None:
    """Erase the addresses from the payload of a job."""
    await session.execute(_ERASE_JOB_PAYLOAD, {"job_id": job_id})
