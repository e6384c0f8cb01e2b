"""SQL that counts each campaign's messages in three sources: Everlytic's lists, the operational tables and the marts.

Provider and operational events are counted from raw rows by the rules of int_messages__engagement, so a difference
means that a row is missing in one source, not that the definitions differ. Workspaces that were never polled are left
out.
"""

# Events per message in two sources; {provider} and {operational} limit them to the messages to compare. Reports that
# came by mail count in both, because Everlytic has none of them.
_EVENTS = """
    events AS (
        SELECT 'provider' AS source, workspace_id, campaign_id, message_id,
               CASE type WHEN 'open' THEN 'opened' WHEN 'click' THEN 'clicked' WHEN 'bounce' THEN 'bounced'
                         WHEN 'failed' THEN 'bounced' WHEN 'unsubscribe' THEN 'unsubscribed' ELSE type END AS type,
               bounce_kind <> 'address' AS is_soft, occurred_at
        FROM staging.stg_everlytic__callback_events WHERE message_id IS NOT NULL {provider}
        UNION ALL
        SELECT s.source, e.workspace_id, d.sequence_id::text, e.message_id::text, e.type,
               e.bounce_kind <> 'address', e.reported_at
        FROM staging.stg_app__email_events AS e JOIN staging.stg_app__email_drafts AS d USING (message_id)
        JOIN (VALUES ('operational', NULL), ('provider', true)) AS s (source, is_from_mail)
             ON s.is_from_mail IS NULL OR e.is_from_mail
        WHERE true {operational}
    )
"""

_FIGURES = """
    last_replies AS (
        SELECT message_id::text, max(received_at) AS last_replied_at
        FROM staging.stg_app__replies WHERE NOT is_automatic {replies} GROUP BY message_id
    ), messages AS (
        SELECT source, workspace_id, campaign_id, message_id,
               bool_or(type = 'opened') AS opened, bool_or(type = 'clicked') AS clicked,
               bool_or(type IN ('delivered', 'opened', 'clicked', 'unsubscribed')) OR max(last_replied_at) IS NOT NULL
                   AS has_arrived,
               bool_or(type = 'bounced' AND NOT is_soft) AND max(last_replied_at) IS NULL OR coalesce(
                   max(occurred_at) FILTER (WHERE type = 'bounced') >= coalesce(greatest(max(last_replied_at),
                   max(occurred_at) FILTER (WHERE type IN ('delivered', 'opened', 'clicked', 'unsubscribed'))),
                   '-infinity'), false) AS bounced
        FROM events LEFT JOIN last_replies USING (message_id)
        GROUP BY source, workspace_id, campaign_id, message_id
    ), event_counts AS (
        SELECT source, workspace_id, campaign_id,
               count(*) FILTER (WHERE has_arrived AND NOT bounced) AS delivered,
               count(*) FILTER (WHERE bounced) AS bounced,
               count(*) FILTER (WHERE opened AND NOT bounced) AS opened,
               count(*) FILTER (WHERE clicked AND NOT bounced) AS clicked
        FROM messages GROUP BY source, workspace_id, campaign_id
    ), sends AS (
        SELECT 'provider' AS source, workspace_id, campaign_id, count(*) AS sent
        FROM staging.stg_everlytic__transactions WHERE message_id IS NOT NULL {transactions}
        GROUP BY workspace_id, campaign_id
        UNION ALL
        SELECT 'operational', a.workspace_id, d.sequence_id::text, count(*)
        FROM staging.stg_app__send_attempts AS a JOIN staging.stg_app__email_drafts AS d USING (message_id)
        WHERE a.outcome = 'accepted' {operational_sent} GROUP BY a.workspace_id, d.sequence_id
    ), marts AS ({marts}), figures AS (
        SELECT source, workspace_id, campaign_id, figure, value
        FROM (SELECT source, workspace_id, campaign_id, coalesce(sent, 0) AS sent, coalesce(delivered, 0) AS delivered,
                     coalesce(bounced, 0) AS bounced, coalesce(opened, 0) AS opened, coalesce(clicked, 0) AS clicked
              FROM sends FULL JOIN event_counts USING (source, workspace_id, campaign_id)
              UNION ALL
              SELECT 'mart', workspace_id, campaign_id, sent, delivered, bounced, opened, clicked FROM marts) AS sources
        CROSS JOIN LATERAL (VALUES ('sent', sent), ('delivered', delivered), ('bounced', bounced), ('opened', opened),
            ('clicked', clicked)) AS f (figure, value)
    )
    SELECT workspace_id::text, campaign_id, figure,
           coalesce(max(value) FILTER (WHERE source = 'provider'), 0) AS provider,
           coalesce(max(value) FILTER (WHERE source = 'operational'), 0) AS operational,
           coalesce(max(value) FILTER (WHERE source = 'mart'), 0) AS mart
    FROM figures
    WHERE workspace_id IN (SELECT workspace_id FROM everlytic.sync_cursors WHERE synced_through IS NOT NULL)
    GROUP BY workspace_id, campaign_id, figure
    ORDER BY workspace_id, campaign_id, figure
"""

_CAMPAIGN_MART = """
        SELECT workspace_id, campaign_id, sent, delivered, bounced, opened, clicked
        FROM analytics.campaigns WHERE kind = 'sequence'
"""
_RECENT_MESSAGES_MART = """
        SELECT workspace_id, campaign_id, count(*) AS sent, count(*) FILTER (WHERE is_delivered) AS delivered,
               count(*) FILTER (WHERE is_bounced) AS bounced, count(*) FILTER (WHERE is_opened) AS opened,
               count(*) FILTER (WHERE is_clicked) AS clicked
        FROM intermediate.int_messages__engagement
        WHERE accepted_at >= now() - %(days)s * interval '1 day' GROUP BY workspace_id, campaign_id
"""
# Messages accepted recently; their events arrived after that, so they are recent too.
_RECENT_MESSAGES = """
    recent AS MATERIALIZED (
        SELECT workspace_id, message_id, message_id::text AS message_key
        FROM staging.stg_app__send_attempts
        WHERE outcome = 'accepted' AND recorded_at >= now() - %(days)s * interval '1 day'
    ),
"""
_IS_RECENT = "AND (workspace_id, message_id) IN (SELECT workspace_id, message_key FROM recent)"

ALL_COUNTS = "WITH" + ", ".join(
    part.format(
        provider="", operational="", replies="", transactions="", operational_sent="", marts=_CAMPAIGN_MART
    )
    for part in (_EVENTS, _FIGURES)
)  # fmt: skip
"""Counts of all three sources per workspace, campaign and figure, over all messages."""

RECENT_COUNTS = (
    "WITH"  # noqa: S608 - built from the constants above
    + _RECENT_MESSAGES
    + ", ".join(
        part.format(
            provider=f"AND synced_at >= now() - %(days)s * interval '1 day' {_IS_RECENT}",
            operational="AND e.message_id IN (SELECT message_id FROM recent)",
            replies="AND message_id IN (SELECT message_id FROM recent)",
            transactions=_IS_RECENT,
            operational_sent="AND a.message_id IN (SELECT message_id FROM recent)",
            marts=_RECENT_MESSAGES_MART,
        )
        for part in (_EVENTS, _FIGURES)
    )
)
"""The same counts over the messages accepted in the last `days`; the mart counts are computed per message."""
