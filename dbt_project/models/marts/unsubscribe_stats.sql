with
figures as (
    select
        workspace_id,
        campaign_id,
        'sequence' as kind,
        step_id,
        step_order,
        delivered,
        unsubscribed,
        nullif(complained, 0) as complained,
        last_unsubscribed_at
    from {{ ref('int_steps__engagement') }}

    union all

    select
        workspace_id,
        campaign_id,
        'bulk' as kind,
        null as step_id,
        1 as step_order,
        delivered,
        unsubscribed,
        complained,
        null as last_unsubscribed_at
    from {{ ref('int_bulk_emails__latest_report') }}
)

select
    workspace_id,
    campaign_id,
    kind,
    step_id,
    step_order,
    delivered,
    unsubscribed,
    complained,
    {{ rates(['unsubscribe_rate']) }},
    last_unsubscribed_at,
    {{ as_of() }}
from figures
