"""Cross checks: provider, operational tables and marts have the same counts, and no email was sent against a stop."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import psycopg
from psycopg.rows import dict_row

from orchestration.defs.operations.counting import ALL_COUNTS, RECENT_COUNTS
from orchestration.defs.operations.lookback import Lookback
from orchestration.defs.operations.resources import Database

CAMPAIGNS = dg.AssetKey(["analytics", "campaigns"])
MAX_LISTED_ROWS = 50
"""How many rows the metadata of a check lists."""

# Compare both clocks: business time (suppressed_at) and database time (created_at). An imported suppression list may
# carry old dates; a send before the import did not violate it. A removed suppression applied until its removal. Use the
# recipient that Everlytic reports, if any, because the lead's address may have changed since the send.
_SENDS_AFTER_SUPPRESSION = """
    WITH sends AS (
        SELECT w.account_id, a.workspace_id, a.draft_id, a.claimed_at, a.created_at, l.erased_at,
               app.suppression_hash(w.account_id, address) AS address_hash,
               app.suppression_hash(w.account_id, '@' || split_part(address, '@', -1)) AS domain_hash,
               app.parent_domain_hashes(w.account_id, address) AS parent_hashes
        FROM app.send_attempts AS a
        JOIN app.workspaces AS w ON w.id = a.workspace_id
        JOIN app.email_drafts AS d ON d.id = a.draft_id
        JOIN app.leads AS l ON l.id = d.lead_id
        LEFT JOIN everlytic.transactions AS t
            ON t.workspace_id = a.workspace_id AND t.message_id = a.draft_id::text
            AND t.transaction_id = a.everlytic_transaction_id
        CROSS JOIN LATERAL (SELECT coalesce(nullif(t.recipient, ''), l.email) AS address) AS recipient
        WHERE a.outcome <> 'rejected' AND {is_recent}
    ), hashed AS (
        SELECT sends.*, address_hash AS value_hash, false AS is_parent FROM sends
        UNION ALL
        SELECT sends.*, domain_hash, false FROM sends
        UNION ALL
        SELECT sends.*, parent_hash, true FROM sends CROSS JOIN LATERAL unnest(parent_hashes) AS parent_hash
    )
    SELECT hashed.workspace_id::text, draft_id::text, reason, suppressed_at::text, claimed_at::text
    FROM hashed JOIN app.suppressions AS s USING (account_id, value_hash)
    WHERE claimed_at > s.suppressed_at AND hashed.created_at > s.created_at
        AND coalesce(s.workspace_id, hashed.workspace_id) = hashed.workspace_id
        AND (s.include_subdomains OR NOT is_parent)
    UNION ALL
    SELECT hashed.workspace_id::text, draft_id::text, reason || ', removed since', suppressed_at::text, claimed_at::text
    FROM hashed JOIN app.suppression_removals AS r USING (account_id, value_hash)
    WHERE claimed_at > r.suppressed_at AND claimed_at < r.removed_at
        AND coalesce(r.workspace_id, hashed.workspace_id) = hashed.workspace_id
        AND (r.include_subdomains OR NOT is_parent)
    UNION ALL
    SELECT workspace_id::text, draft_id::text, 'erased', erased_at::text, claimed_at::text
    FROM sends WHERE claimed_at > erased_at
    ORDER BY 5 DESC
"""

_EVENTS_WITHOUT_MESSAGE = """
    SELECT e.workspace_id::text, e.id::text AS event, e.type, e.occurred_at::text
    FROM app.email_events AS e
    LEFT JOIN app.send_attempts AS a ON a.draft_id = e.draft_id AND a.outcome <> 'rejected'
    WHERE a.id IS NULL AND {is_recent_event}
    UNION ALL
    SELECT c.workspace_id::text, c.event_key, c.type, c.occurred_at::text
    FROM everlytic.callback_events AS c
    LEFT JOIN app.email_drafts AS d ON d.workspace_id = c.workspace_id AND d.id::text = c.message_id
    WHERE d.id IS NULL AND c.message_id IS NOT NULL AND {is_recent_poll}
    ORDER BY 4 DESC
"""

_SINCE = "now() - %(days)s * interval '1 day'"
_PENDING_WORK = """
    SELECT (SELECT count(*) FROM everlytic.callback_events WHERE applied_at IS NULL) AS unapplied_events,
           (SELECT count(*) FROM everlytic.webhook_deliveries WHERE applied_at IS NULL) AS unapplied_deliveries,
           (SELECT count(*) FROM app.send_attempts WHERE outcome = 'unknown') AS unknown_sends,
           (SELECT min(synced_through)::text FROM everlytic.sync_cursors WHERE resource = 'callback_events')
               AS polled_through
"""
"""Temporary causes of drift: events that are not applied yet, and webhooks whose events are not polled yet."""


@dg.asset_check(
    asset=CAMPAIGNS,
    description="Everlytic, the operational tables and the mart have the same counts for each campaign.",
)
def counts_agree(database: Database, lookback: Lookback) -> dg.AssetCheckResult:
    """Compare the counts; drift is a warning, because events may still wait to be polled or applied."""
    with database.connect() as connection:
        rows = _fetch_rows(connection, RECENT_COUNTS if lookback.days else ALL_COUNTS, lookback)
        (pending_work,) = _fetch_rows(connection, _PENDING_WORK, lookback)
    drifted = [row for row in rows if not row["provider"] == row["operational"] == row["mart"]]
    return dg.AssetCheckResult(
        passed=not drifted,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "checked_rows": lookback.describe(),
            "compared": len(rows),
            "drifted": len(drifted),
            "drift": dg.MetadataValue.md(format_markdown_table(drifted)),
            **{name: value if value is not None else "never" for name, value in pending_work.items()},
        },
    )


@dg.asset_check(
    asset=dg.AssetKey(["app", "send_attempts"]),
    description="No email was sent to a suppressed address or domain, or to an erased lead.",
)
def no_send_after_suppression(database: Database, lookback: Lookback) -> dg.AssetCheckResult:
    """Find sends that were claimed after their address or its domain was suppressed, or after their lead was erased."""
    # A claim without an outcome has no recorded_at yet.
    is_recent = f"(a.recorded_at IS NULL OR a.recorded_at >= {_SINCE})" if lookback.days else "true"
    return _check_no_rows(database, lookback, _SENDS_AFTER_SUPPRESSION.format(is_recent=is_recent))


@dg.asset_check(
    asset=dg.AssetKey(["app", "email_events"]),
    description="Every event belongs to a message that was sent or may have been sent.",
)
def no_event_without_message(database: Database, lookback: Lookback) -> dg.AssetCheckResult:
    """Find events whose message was never sent, and polled events whose draft is not in the workspace."""
    is_recent_event = f"e.synced_at >= {_SINCE}" if lookback.days else "true"
    is_recent_poll = f"c.synced_at >= {_SINCE}" if lookback.days else "true"
    query = _EVENTS_WITHOUT_MESSAGE.format(is_recent_event=is_recent_event, is_recent_poll=is_recent_poll)
    return _check_no_rows(database, lookback, query)


def _check_no_rows(database: Database, lookback: Lookback, query: str) -> dg.AssetCheckResult:
    with database.connect() as connection:
        rows = _fetch_rows(connection, query, lookback)
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "checked_rows": lookback.describe(),
            "violations": len(rows),
            "rows": dg.MetadataValue.md(format_markdown_table(rows)),
        },
    )


def format_markdown_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return up to MAX_LISTED_ROWS rows as a markdown table."""
    if not rows:
        return "none"
    names = list(rows[0])
    lines = [" | ".join(str(row[name]) for name in names) for row in rows[:MAX_LISTED_ROWS]]
    return "\n".join(f"| {line} |" for line in [" | ".join(names), " | ".join("---" for _ in names), *lines])


def _fetch_rows(connection: psycopg.Connection, query: str, lookback: Lookback) -> list[dict[str, Any]]:
    return connection.cursor(row_factory=dict_row).execute(query.encode(), {"days": lookback.days}).fetchall()
