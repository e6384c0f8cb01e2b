-- Campaigns, days of sending and days of happening are sums of the same messages.
with
by_campaign as (
    select
        workspace_id,
        sum(sent) as sent,
        sum(delivered) as delivered,
        sum(opened) as opened,
        sum(replied) as replied
    from {{ ref('campaigns') }}
    where kind = 'sequence'
    group by workspace_id
    having sum(sent) > 0
),

by_day_sent as (
    select
        workspace_id,
        sum(sent) as sent,
        sum(delivered) as delivered,
        sum(opened) as opened,
        sum(replied) as replied
    from {{ ref('workspace_aggregates') }}
    group by workspace_id
),

by_day as (
    select
        workspace_id,
        sum(sent) as sent,
        sum(delivered) as delivered,
        sum(opened) as opened,
        sum(replied) as replied
    from {{ ref('timeline_events') }}
    group by workspace_id
),

by_campaign_day as (
    select
        workspace_id,
        sum(sent) as sent,
        sum(delivered) as delivered,
        sum(opened) as opened,
        sum(replied) as replied
    from {{ ref('campaign_days') }}
    group by workspace_id
),

counted as (
    select * from by_campaign
    union all
    select * from by_day_sent
    union all
    select * from by_day
    union all
    select * from by_campaign_day
)

select workspace_id
from counted
group by workspace_id
having
    count(*) <> 4
    or count(distinct sent) > 1
    or count(distinct delivered) > 1
    or count(distinct opened) > 1
    or count(distinct replied) > 1
