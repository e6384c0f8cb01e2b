with
listed as (
    select
        workspace_id,
        sequence_id::text as campaign_id,
        'sequence' as kind,
        sequence_id,
        name,
        status,
        is_deleted,
        created_at
    from {{ ref('stg_app__sequences') }}

    union all

    select
        workspace_id,
        campaign_id,
        'bulk' as kind,
        null as sequence_id,
        name,
        status,
        false as is_deleted,
        created_at
    from {{ ref('int_bulk_emails__latest_report') }}
),

counted as (
    select
        workspace_id,
        campaign_id,
        {{ sums(delivery_figures() + engagement_figures()) }},
        {{ leaving_sums() }},
        min(first_sent_at) as first_sent_at,
        max(last_sent_at) as last_sent_at,
        max(last_activity_at) as last_activity_at
    from {{ ref('int_steps__engagement') }}
    group by workspace_id, campaign_id

    union all

    select
        workspace_id,
        campaign_id,
        {{ delivery_figures() | join(', ') }},
        {{ reported(engagement_figures()) }},
        unsubscribed,
        complained,
        sent_at as first_sent_at,
        sent_at as last_sent_at,
        sent_at as last_activity_at
    from {{ ref('int_bulk_emails__latest_report') }}
),

figures as (
    select
        listed.workspace_id,
        listed.campaign_id,
        listed.kind,
        listed.sequence_id,
        listed.name,
        listed.status,
        {% for figure in delivery_figures() + engagement_figures() + ['unsubscribed'] -%}
        {{ known('counted.' ~ figure) }} as {{ figure }},
        {% endfor -%}
        counted.complained,
        listed.created_at,
        counted.first_sent_at,
        counted.last_sent_at,
        counted.last_activity_at
    from listed
    left join counted on listed.workspace_id = counted.workspace_id and listed.campaign_id = counted.campaign_id
    where not listed.is_deleted or counted.sent > 0
)

select
    workspace_id,
    campaign_id,
    kind,
    sequence_id,
    name,
    status,
    sent,
    delivered,
    bounced,
    hard_bounced,
    soft_bounced,
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
    created_at,
    first_sent_at,
    last_sent_at,
    last_activity_at,
    {{ as_of() }}
from figures
