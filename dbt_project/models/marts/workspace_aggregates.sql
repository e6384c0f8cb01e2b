{{ config(post_hook="{{ create_workspace_totals(this) }}") }}

with
figures as (
    select
        workspace_id,
        sent_on,
        {{ sum_figures(delivery_figures() + engagement_figures()) }},
        {{ unsubscribe_sums() }}
    from {{ ref('int_step_days__engagement') }}
    group by workspace_id, sent_on
)

select
    workspace_id,
    sent_on,
    sent,
    delivered,
    bounced,
    hard_bounced,
    soft_bounced,
    opens_measured,
    clicks_measured,
    clicked_with_opens_measured,
    opened,
    human_opened,
    machine_opened,
    opens,
    human_opens,
    machine_opens,
    clicked,
    human_clicked,
    machine_clicked,
    clicks,
    human_clicks,
    machine_clicks,
    replied,
    unsubscribed,
    complained,
    {{ rates() }},
    {{ as_of() }}
from figures
