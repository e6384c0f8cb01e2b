with
figures as (
    select
        workspace_id,
        campaign_id,
        'sequence' as kind,
        step_order,
        count(*) filter (where is_delivered) as delivered,
        {{ leaving_figures() }},
        max(unsubscribed_at) filter (where is_unsubscribed) as last_unsubscribed_at
    from {{ ref('int_messages__engagement') }}
    group by workspace_id, campaign_id, step_order

    union all

    select
        workspace_id,
        campaign_id,
        'bulk' as kind,
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
    step_order,
    delivered,
    unsubscribed,
    complained,
    {{ rates(['unsubscribe_rate']) }},
    last_unsubscribed_at,
    {{ as_of() }}
from figures
