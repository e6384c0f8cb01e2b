{{ config(materialized='view') }}

with
latest_reports as (
    select distinct on (workspace_id, email_id) *
    from {{ ref('stg_everlytic__campaign_reports') }}
    order by workspace_id asc, email_id asc, reported_on desc
)

select
    workspace_id,
    email_id as campaign_id,
    name,
    status,
    created_at,
    sent_at,
    coalesce(sent, 0) as sent,
    -- If the report has no delivered count, use sent minus bounced.
    coalesce(delivered, sent - coalesce(hard_bounced, 0) - coalesce(soft_bounced, 0), 0) as delivered,
    case
        when num_nonnulls(hard_bounced, soft_bounced) > 0
            then coalesce(hard_bounced, 0) + coalesce(soft_bounced, 0)
    end as bounced,
    hard_bounced,
    soft_bounced,
    opens,
    opened,
    clicks,
    clicked,
    unsubscribed,
    complained,
    synced_at
from latest_reports
