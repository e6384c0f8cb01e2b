with
figures as (
    select
        workspace_id,
        campaign_id,
        'sequence' as kind,
        step_order,
        count(*) filter (where is_delivered) as delivered,
        {{ engagement_figures() }},
        coalesce(sum(opens) filter (where is_delivered), 0)::bigint as opens,
        coalesce(sum(human_opens) filter (where is_delivered), 0)::bigint as human_opens,
        coalesce(sum(machine_opens) filter (where is_delivered), 0)::bigint as machine_opens,
        coalesce(sum(clicks) filter (where is_delivered), 0)::bigint as clicks,
        coalesce(sum(human_clicks) filter (where is_delivered), 0)::bigint as human_clicks,
        coalesce(sum(machine_clicks) filter (where is_delivered), 0)::bigint as machine_clicks
    from {{ ref('int_messages__engagement') }}
    group by workspace_id, campaign_id, step_order

    union all

    select
        workspace_id,
        campaign_id,
        'bulk' as kind,
        1 as step_order,
        delivered,
        opened,
        null as human_opened,
        null as machine_opened,
        clicked,
        null as human_clicked,
        null as machine_clicked,
        null as replied,
        opens,
        null as human_opens,
        null as machine_opens,
        clicks,
        null as human_clicks,
        null as machine_clicks
    from {{ ref('int_bulk_emails__latest_report') }}
)

select
    workspace_id,
    campaign_id,
    kind,
    step_order,
    delivered,
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
