"""What must hold across sides: provider, tables and marts count the same; nobody is mailed who must not be."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import psycopg
from psycopg.rows import dict_row

from orchestration.defs.operations.resources import Database

CAMPAIGNS = dg.AssetKey(["analytics", "campaigns"])
SHOWN = 50
"""How many offending rows a check's metadata lists."""

# Provider and operational events are judged by the marts' own rules (int_messages__engagement), from raw rows, so that
# drift means a row is missing somewhere and not that sides define things differently. Workspaces that were never
# polled have nothing to compare.
_COUNTS = """
    WITH happened AS (
        SELECT 'provider' AS side, workspace_id, campaign_id, message_id,
               CASE type WHEN 'open' THEN 'opened' WHEN 'click' THEN 'clicked' WHEN 'bounce' THEN 'bounced'
                         WHEN 'failed' THEN 'bounced' WHEN 'unsubscribe' THEN 'unsubscribed' ELSE type END AS type,
               bounce_type = 'soft' AS is_soft, occurred_at
        FROM staging.stg_everlytic__callback_events WHERE message_id IS NOT NULL
        UNION ALL
        SELECT 'operational', e.workspace_id, d.sequence_id::text, e.message_id::text, e.type,
               e.bounce_type = 'soft', e.occurred_at
        FROM staging.stg_app__email_events AS e JOIN staging.stg_app__email_drafts AS d USING (message_id)
    ), answered AS (
        SELECT message_id::text, max(received_at) AS last_replied_at
        FROM staging.stg_app__replies WHERE NOT is_automatic GROUP BY message_id
    ), messages AS (
        SELECT side, workspace_id, campaign_id, message_id,
               bool_or(type = 'opened') AS opened, bool_or(type = 'clicked') AS clicked,
               bool_or(type IN ('delivered', 'opened', 'clicked', 'unsubscribed')) OR max(last_replied_at) IS NOT NULL
                   AS arrived,
               bool_or(type = 'bounced' AND is_soft IS NOT TRUE) OR coalesce(
                   max(occurred_at) FILTER (WHERE type = 'bounced') >= coalesce(greatest(max(last_replied_at),
                   max(occurred_at) FILTER (WHERE type IN ('delivered', 'opened', 'clicked', 'unsubscribed'))),
                   '-infinity'), false) AS bounced
        FROM happened LEFT JOIN answered USING (message_id)
        GROUP BY side, workspace_id, campaign_id, message_id
    ), judged AS (
        SELECT side, workspace_id, campaign_id,
               count(*) FILTER (WHERE arrived AND NOT bounced) AS delivered, count(*) FILTER (WHERE bounced) AS bounced,
               count(*) FILTER (WHERE opened AND NOT bounced) AS opened,
               count(*) FILTER (WHERE clicked AND NOT bounced) AS clicked
        FROM messages GROUP BY side, workspace_id, campaign_id
    ), sent AS (
        SELECT 'provider' AS side, workspace_id, campaign_id, count(*) AS sent
        FROM staging.stg_everlytic__transactions WHERE message_id IS NOT NULL GROUP BY workspace_id, campaign_id
        UNION ALL
        SELECT 'operational', a.workspace_id, d.sequence_id::text, count(*)
        FROM staging.stg_app__send_attempts AS a JOIN staging.stg_app__email_drafts AS d USING (message_id)
        WHERE a.outcome = 'accepted' GROUP BY a.workspace_id, d.sequence_id
    ), counted AS (
        SELECT side, workspace_id, campaign_id, figure, value
        FROM sent FULL JOIN judged USING (side, workspace_id, campaign_id)
        CROSS JOIN LATERAL (VALUES ('sent', coalesce(sent, 0)), ('delivered', coalesce(delivered, 0)),
            ('bounced', coalesce(bounced, 0)), ('opened', coalesce(opened, 0)), ('clicked', coalesce(clicked, 0))
        ) AS f (figure, value)
        UNION ALL
        SELECT 'mart', workspace_id, campaign_id, figure, value
        FROM analytics.campaigns
        CROSS JOIN LATERAL (VALUES ('sent', sent), ('delivered', delivered), ('bounced', bounced), ('opened', opened),
            ('clicked', clicked)) AS f (figure, value)
        WHERE kind = 'sequence'
    )
    SELECT workspace_id::text, campaign_id, figure,
           coalesce(max(value) FILTER (WHERE side = 'provider'), 0) AS provider,
           coalesce(max(value) FILTER (WHERE side = 'operational'), 0) AS operational,
           coalesce(max(value) FILTER (WHERE side = 'mart'), 0) AS mart
    FROM counted
    WHERE workspace_id IN (SELECT workspace_id FROM everlytic.sync_cursors WHERE synced_through IS NOT NULL)
    GROUP BY workspace_id, campaign_id, figure
    ORDER BY workspace_id, campaign_id, figure
"""

_MAILED_AFTER_SUPPRESSION = """
    SELECT a.workspace_id::text, a.draft_id::text, s.reason, s.suppressed_at::text, a.claimed_at::text
    FROM app.send_attempts AS a
    JOIN app.email_drafts AS d ON d.id = a.draft_id
    JOIN app.leads AS l ON l.id = d.lead_id
    JOIN app.suppressions AS s ON s.workspace_id = a.workspace_id AND s.value_hash IN (
        app.suppression_hash(a.workspace_id, l.email),
        app.suppression_hash(a.workspace_id, '@' || split_part(l.email, '@', -1)))
    WHERE a.claimed_at > s.suppressed_at AND a.outcome <> 'rejected'
    ORDER BY a.claimed_at DESC
"""

_EVENTS_WITHOUT_MESSAGE = """
    SELECT e.workspace_id::text, e.id::text AS event, e.type, e.occurred_at::text
    FROM app.email_events AS e
    LEFT JOIN app.send_attempts AS a ON a.draft_id = e.draft_id AND a.outcome <> 'rejected'
    WHERE a.id IS NULL
    UNION ALL
    SELECT c.workspace_id::text, c.event_key, c.type, c.occurred_at::text
    FROM everlytic.callback_events AS c
    LEFT JOIN app.email_drafts AS d ON d.workspace_id = c.workspace_id AND d.id::text = c.message_id
    WHERE d.id IS NULL AND c.message_id IS NOT NULL
    ORDER BY 4 DESC
"""


@dg.asset_check(
    asset=CAMPAIGNS, description="Per campaign, the provider's, the operational and the mart's counts agree."
)
def counts_agree(database: Database) -> dg.AssetCheckResult:
    """Compare the three sides; drift is a warning, because what was pushed may still wait for its poll or its apply."""
    with database.connect() as connection:
        rows = _rows(connection, _COUNTS)
        waiting = _rows(connection, "SELECT count(*) FROM everlytic.callback_events WHERE applied_at IS NULL")
    drifted = [row for row in rows if not row["provider"] == row["operational"] == row["mart"]]
    return dg.AssetCheckResult(
        passed=not drifted,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "compared": len(rows),
            "drifted": len(drifted),
            "events_not_yet_applied": waiting[0]["count"],
            "drift": dg.MetadataValue.md(markdown(drifted)),
        },
    )


@dg.asset_check(
    asset=dg.AssetKey(["app", "send_attempts"]), description="No send was permitted after its address was suppressed."
)
def nobody_mailed_after_suppression(database: Database) -> dg.AssetCheckResult:
    """Look for sends that were claimed later than the suppression of their address or its domain."""
    return _none_found(database, _MAILED_AFTER_SUPPRESSION)


@dg.asset_check(
    asset=dg.AssetKey(["app", "email_events"]), description="Every event belongs to a message that may have been sent."
)
def no_event_without_message(database: Database) -> dg.AssetCheckResult:
    """Look for events whose message was never sent, and polled events whose message is not ours to find."""
    return _none_found(database, _EVENTS_WITHOUT_MESSAGE)


def _none_found(database: Database, query: str) -> dg.AssetCheckResult:
    with database.connect() as connection:
        rows = _rows(connection, query)
    return dg.AssetCheckResult(
        passed=not rows,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"found": len(rows), "rows": dg.MetadataValue.md(markdown(rows))},
    )


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return the first rows as a markdown table."""
    if not rows:
        return "none"
    names = list(rows[0])
    lines = [" | ".join(str(row[name]) for name in names) for row in rows[:SHOWN]]
    return "\n".join(f"| {line} |" for line in [" | ".join(names), " | ".join("---" for _ in names), *lines])


def _rows(connection: psycopg.Connection, query: str) -> list[dict[str, Any]]:
    return connection.cursor(row_factory=dict_row).execute(query.encode()).fetchall()
