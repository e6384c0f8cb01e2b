with
figures as (
    select
        workspace_id,
        campaign_id,
        'sequence' as kind,
        step_id,
        step_order,
        {{ delivery_figures() | join(', ') }},
        nullif(complained, 0) as complained,
        first_sent_at,
        last_sent_at
    from {{ ref('int_steps__engagement') }}

    union all

    select
        workspace_id,
        campaign_id,
        'bulk' as kind,
        null as step_id,
        1 as step_order,
        {{ delivery_figures() | join(', ') }},
        complained,
        sent_at as first_sent_at,
        sent_at as last_sent_at
    from {{ ref('int_bulk_emails__latest_report') }}
)

select
    workspace_id,
    campaign_id,
    kind,
    step_id,
    step_order,
    sent,
    delivered,
    bounced,
    hard_bounced,
    soft_bounced,
    complained,
    {{ rates(['delivery_rate', 'bounce_rate']) }},
    first_sent_at,
    last_sent_at,
    {{ as_of() }}
from figures
