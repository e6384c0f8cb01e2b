with
figures as (
    select
        workspace_id,
        campaign_id,
        'sequence' as kind,
        step_id,
        step_order,
        delivered,
        {{ engagement_figures() | join(', ') }}
    from {{ ref('int_steps__engagement') }}

    union all

    select
        workspace_id,
        campaign_id,
        'bulk' as kind,
        null as step_id,
        1 as step_order,
        delivered,
        {{ from_bulk_report(engagement_figures()) }}
    from {{ ref('int_bulk_emails__latest_report') }}
)

select
    workspace_id,
    campaign_id,
    kind,
    step_id,
    step_order,
    delivered,
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
    {{ rates(['open_rate', 'human_open_rate', 'click_rate', 'human_click_rate', 'click_to_open_rate', 'reply_rate']) }},
    {{ as_of() }}
from figures
