"""What must hold across sides: provider, tables and marts count the same; nobody is mailed who must not be."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import psycopg
from psycopg.rows import dict_row

from orchestration.defs.operations.counting import ALL_COUNTS, RECENT_COUNTS
from orchestration.defs.operations.lookback import Lookback
from orchestration.defs.operations.resources import Database

CAMPAIGNS = dg.AssetKey(["analytics", "campaigns"])
SHOWN = 50
"""How many offending rows a check's metadata lists."""

# By the database's clock as well as by the business's: a list that is brought in later may say that somebody was
# suppressed long ago, and whoever was mailed before it came was not mailed against it. What was taken back stood until
# then. The address is the one that Everlytic mailed, where it said so: a lead's own may have changed since.
_MAILED_AFTER_SUPPRESSION = """
    WITH mailed AS (
        SELECT a.workspace_id, a.draft_id, a.claimed_at, a.created_at, l.erased_at,
               app.suppression_hash(a.workspace_id, address) AS address_hash,
               app.suppression_hash(a.workspace_id, '@' || split_part(address, '@', -1)) AS domain_hash
        FROM app.send_attempts AS a
        JOIN app.email_drafts AS d ON d.id = a.draft_id
        JOIN app.leads AS l ON l.id = d.lead_id
        LEFT JOIN everlytic.transactions AS t
            ON t.workspace_id = a.workspace_id AND t.message_id = a.draft_id::text
            AND t.transaction_id = a.everlytic_transaction_id
        CROSS JOIN LATERAL (SELECT coalesce(nullif(t.recipient, ''), l.email) AS address) AS addressed
        WHERE a.outcome <> 'rejected' AND {recently}
    ), hashed AS (
        SELECT workspace_id, draft_id, claimed_at, created_at, address_hash AS value_hash FROM mailed
        UNION ALL
        SELECT workspace_id, draft_id, claimed_at, created_at, domain_hash FROM mailed
    )
    SELECT workspace_id::text, draft_id::text, reason, suppressed_at::text, claimed_at::text
    FROM hashed JOIN app.suppressions AS s USING (workspace_id, value_hash)
    WHERE claimed_at > s.suppressed_at AND hashed.created_at > s.created_at
    UNION ALL
    SELECT workspace_id::text, draft_id::text, reason || ', removed since', suppressed_at::text, claimed_at::text
    FROM hashed JOIN app.suppression_removals AS r USING (workspace_id, value_hash)
    WHERE claimed_at > r.suppressed_at AND claimed_at < r.removed_at
    UNION ALL
    SELECT workspace_id::text, draft_id::text, 'erased', erased_at::text, claimed_at::text
    FROM mailed WHERE claimed_at > erased_at
    ORDER BY 5 DESC
"""

_EVENTS_WITHOUT_MESSAGE = """
    SELECT e.workspace_id::text, e.id::text AS event, e.type, e.occurred_at::text
    FROM app.email_events AS e
    LEFT JOIN app.send_attempts AS a ON a.draft_id = e.draft_id AND a.outcome <> 'rejected'
    WHERE a.id IS NULL AND {events_recently}
    UNION ALL
    SELECT c.workspace_id::text, c.event_key, c.type, c.occurred_at::text
    FROM everlytic.callback_events AS c
    LEFT JOIN app.email_drafts AS d ON d.workspace_id = c.workspace_id AND d.id::text = c.message_id
    WHERE d.id IS NULL AND c.message_id IS NOT NULL AND {polled_recently}
    ORDER BY 4 DESC
"""

_SINCE = "now() - %(days)s * interval '1 day'"
_UNSETTLED = """
    SELECT (SELECT count(*) FROM everlytic.callback_events WHERE applied_at IS NULL) AS events_not_yet_applied,
           (SELECT count(*) FROM everlytic.webhook_deliveries WHERE applied_at IS NULL) AS deliveries_not_yet_applied,
           (SELECT count(*) FROM app.send_attempts WHERE outcome = 'unknown') AS sends_of_unknown_outcome,
           (SELECT min(synced_through)::text FROM everlytic.sync_cursors WHERE resource = 'callback_events')
               AS all_polled_through
"""
"""What explains drift that goes by itself: what was heard and not applied, and what was pushed and not yet polled."""


@dg.asset_check(
    asset=CAMPAIGNS, description="Per campaign, the provider's, the operational and the mart's counts agree."
)
def counts_agree(database: Database, lookback: Lookback) -> dg.AssetCheckResult:
    """Compare the three sides; drift is a warning, because what was pushed may still wait for its poll or its apply."""
    with database.connect() as connection:
        rows = _rows(connection, RECENT_COUNTS if lookback.days else ALL_COUNTS, lookback)
        (unsettled,) = _rows(connection, _UNSETTLED, lookback)
    drifted = [row for row in rows if not row["provider"] == row["operational"] == row["mart"]]
    return dg.AssetCheckResult(
        passed=not drifted,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "looked_at": lookback.sentence(),
            "compared": len(rows),
            "drifted": len(drifted),
            "drift": dg.MetadataValue.md(markdown(drifted)),
            **{name: value if value is not None else "never" for name, value in unsettled.items()},
        },
    )


@dg.asset_check(
    asset=dg.AssetKey(["app", "send_attempts"]), description="No send was permitted after its address was suppressed."
)
def nobody_mailed_after_suppression(database: Database, lookback: Lookback) -> dg.AssetCheckResult:
    """Look for sends that were claimed while their address or its domain was suppressed, or its lead was erased."""
    # A claim that has no outcome yet has no time of its record either.
    recently = f"(a.recorded_at IS NULL OR a.recorded_at >= {_SINCE})" if lookback.days else "true"
    return _none_found(database, lookback, _MAILED_AFTER_SUPPRESSION.format(recently=recently))


@dg.asset_check(
    asset=dg.AssetKey(["app", "email_events"]), description="Every event belongs to a message that may have been sent."
)
def no_event_without_message(database: Database, lookback: Lookback) -> dg.AssetCheckResult:
    """Look for events whose message was never sent, and polled events whose message is not ours to find."""
    events, polled = (f"e.synced_at >= {_SINCE}", f"c.synced_at >= {_SINCE}") if lookback.days else ("true", "true")
    query = _EVENTS_WITHOUT_MESSAGE.format(events_recently=events, polled_recently=polled)
    return _none_found(database, lookback, query)


def _none_found(database: Database, lookback: Lookback, query: str) -> dg.AssetCheckResult:
    with database.connect() as connection:
        rows = _rows(connection, query, lookback)
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "looked_at": lookback.sentence(),
            "found": len(rows),
            "rows": dg.MetadataValue.md(markdown(rows)),
        },
    )


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the first rows as a markdown table."""
    if not rows:
        return "none"
    names = list(rows[0])
    lines = [" | ".join(str(row[name]) for name in names) for row in rows[:SHOWN]]
    return "\n".join(f"| {line} |" for line in [" | ".join(names), " | ".join("---" for _ in names), *lines])


def _rows(connection: psycopg.Connection, query: str, lookback: Lookback) -> list[dict[str, Any]]:
    return connection.cursor(row_factory=dict_row).execute(query.encode(), {"days": lookback.days}).fetchall()
