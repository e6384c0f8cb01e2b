-- Campaigns sum the steps, workspaces sum the days: both must come to the accepted messages, no more and no fewer.
with
accepted as (
    select
        workspace_id,
        count(*) as messages
    from {{ ref('stg_app__send_attempts') }}
    where outcome = 'accepted' and recorded_at < '{{ run_started_at }}'::timestamptz - interval '1 minute'
    group by workspace_id
),

by_campaign as (
    select
        workspace_id,
        sum(sent) as messages
    from {{ ref('campaigns') }}
    where kind = 'sequence'
    group by workspace_id
),

by_day as (
    select
        workspace_id,
        sum(sent) as messages
    from {{ ref('workspace_aggregates') }}
    group by workspace_id
)

select
    accepted.workspace_id,
    accepted.messages,
    by_campaign.messages as by_campaign,
    by_day.messages as by_day
from accepted
left join by_campaign on accepted.workspace_id = by_campaign.workspace_id
left join by_day on accepted.workspace_id = by_day.workspace_id
where
    by_campaign.messages is distinct from by_day.messages
    or by_campaign.messages < accepted.messages
