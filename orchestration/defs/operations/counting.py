"""The three sides' counts of each campaign, by one rule: what Everlytic lists, what the tables say, what the marts say.

Provider and operational events are judged by the marts' own rules (int_messages__engagement), from raw rows, so that
drift means a row is missing somewhere and not that sides define things differently. Workspaces that were never polled
have nothing to compare.
"""

# What happened to a message, on two sides; {provider} and {operational} keep it to the messages in question.
_HAPPENED = """
    happened AS (
        SELECT 'provider' AS side, workspace_id, campaign_id, message_id,
               CASE type WHEN 'open' THEN 'opened' WHEN 'click' THEN 'clicked' WHEN 'bounce' THEN 'bounced'
                         WHEN 'failed' THEN 'bounced' WHEN 'unsubscribe' THEN 'unsubscribed' ELSE type END AS type,
               bounce_type = 'soft' AS is_soft, occurred_at
        FROM staging.stg_everlytic__callback_events WHERE message_id IS NOT NULL {provider}
        UNION ALL
        SELECT 'operational', e.workspace_id, d.sequence_id::text, e.message_id::text, e.type,
               e.bounce_type = 'soft', e.occurred_at
        FROM staging.stg_app__email_events AS e JOIN staging.stg_app__email_drafts AS d USING (message_id)
        WHERE true {operational}
    )
"""

_JUDGED = """
    answered AS (
        SELECT message_id::text, max(received_at) AS last_replied_at
        FROM staging.stg_app__replies WHERE NOT is_automatic {replies} GROUP BY message_id
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
        FROM staging.stg_everlytic__transactions WHERE message_id IS NOT NULL {transactions}
        GROUP BY workspace_id, campaign_id
        UNION ALL
        SELECT 'operational', a.workspace_id, d.sequence_id::text, count(*)
        FROM staging.stg_app__send_attempts AS a JOIN staging.stg_app__email_drafts AS d USING (message_id)
        WHERE a.outcome = 'accepted' {operational_sent} GROUP BY a.workspace_id, d.sequence_id
    ), marts AS ({marts}), counted AS (
        SELECT side, workspace_id, campaign_id, figure, value
        FROM (SELECT side, workspace_id, campaign_id, coalesce(sent, 0) AS sent, coalesce(delivered, 0) AS delivered,
                     coalesce(bounced, 0) AS bounced, coalesce(opened, 0) AS opened, coalesce(clicked, 0) AS clicked
              FROM sent FULL JOIN judged USING (side, workspace_id, campaign_id)
              UNION ALL
              SELECT 'mart', workspace_id, campaign_id, sent, delivered, bounced, opened, clicked FROM marts) AS sides
        CROSS JOIN LATERAL (VALUES ('sent', sent), ('delivered', delivered), ('bounced', bounced), ('opened', opened),
            ('clicked', clicked)) AS f (figure, value)
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

_OF_CAMPAIGNS = """
        SELECT workspace_id, campaign_id, sent, delivered, bounced, opened, clicked
        FROM analytics.campaigns WHERE kind = 'sequence'
"""
_OF_MESSAGES = """
        SELECT workspace_id, campaign_id, count(*) AS sent, count(*) FILTER (WHERE is_delivered) AS delivered,
               count(*) FILTER (WHERE is_bounced) AS bounced, count(*) FILTER (WHERE is_opened) AS opened,
               count(*) FILTER (WHERE is_clicked) AS clicked
        FROM intermediate.int_messages__engagement
        WHERE accepted_at >= now() - %(days)s * interval '1 day' GROUP BY workspace_id, campaign_id
"""
# The messages that were accepted lately. All that happened to them was heard of since then, too.
_LATELY = """
    lately AS MATERIALIZED (
        SELECT workspace_id, message_id, message_id::text AS message_key
        FROM staging.stg_app__send_attempts
        WHERE outcome = 'accepted' AND recorded_at >= now() - %(days)s * interval '1 day'
    ),
"""
_KEY_IS_IN = "AND (workspace_id, message_id) IN (SELECT workspace_id, message_key FROM lately)"

ALL_COUNTS = "WITH" + ", ".join(
    part.format(
        provider="", operational="", replies="", transactions="", operational_sent="", marts=_OF_CAMPAIGNS
    )
    for part in (_HAPPENED, _JUDGED)
)  # fmt: skip
"""Per workspace, campaign and figure: the counts of all three sides, over all that ever happened."""

RECENT_COUNTS = (
    "WITH"  # noqa: S608 - made of the constants above
    + _LATELY
    + ", ".join(
        part.format(
            provider=f"AND synced_at >= now() - %(days)s * interval '1 day' {_KEY_IS_IN}",
            operational="AND e.message_id IN (SELECT message_id FROM lately)",
            replies="AND message_id IN (SELECT message_id FROM lately)",
            transactions=_KEY_IS_IN,
            operational_sent="AND a.message_id IN (SELECT message_id FROM lately)",
            marts=_OF_MESSAGES,
        )
        for part in (_HAPPENED, _JUDGED)
    )
)
"""The same over the messages that were accepted in the last `days`, which the mart side counts by itself."""
