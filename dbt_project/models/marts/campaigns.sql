with
all_campaigns as (
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

campaign_figures as (
    select
        workspace_id,
        campaign_id,
        {{ sum_figures(delivery_figures() + engagement_figures()) }},
        {{ unsubscribe_sums() }},
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
        {{ from_bulk_report(engagement_figures()) }},
        unsubscribed,
        complained,
        sent_at as first_sent_at,
        sent_at as last_sent_at,
        sent_at as last_activity_at
    from {{ ref('int_bulk_emails__latest_report') }}
),

figures as (
    select
        all_campaigns.workspace_id,
        all_campaigns.campaign_id,
        all_campaigns.kind,
        all_campaigns.sequence_id,
        all_campaigns.name,
        all_campaigns.status,
        {% for figure in delivery_figures() + engagement_figures() + ['unsubscribed'] -%}
        {{ zero_if_sequence('campaign_figures.' ~ figure) }} as {{ figure }},
        {% endfor -%}
        campaign_figures.complained,
        all_campaigns.created_at,
        campaign_figures.first_sent_at,
        campaign_figures.last_sent_at,
        campaign_figures.last_activity_at
    from all_campaigns
    left join campaign_figures
        on
            all_campaigns.workspace_id = campaign_figures.workspace_id
            and all_campaigns.campaign_id = campaign_figures.campaign_id
    where not all_campaigns.is_deleted or campaign_figures.sent > 0
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
    created_at,
    first_sent_at,
    last_sent_at,
    last_activity_at,
    {{ as_of() }}
from figures
