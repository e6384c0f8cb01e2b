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

delivery as (
    select
        workspace_id,
        campaign_id,
        sum(sent)::bigint as sent,
        sum(delivered)::bigint as delivered,
        sum(bounced)::bigint as bounced,
        sum(hard_bounced)::bigint as hard_bounced,
        sum(soft_bounced)::bigint as soft_bounced,
        min(first_sent_at) as first_sent_at,
        max(last_sent_at) as last_sent_at
    from {{ ref('delivery_stats') }}
    group by workspace_id, campaign_id
),

engagement as (
    select
        workspace_id,
        campaign_id,
        sum(opened)::bigint as opened,
        sum(human_opened)::bigint as human_opened,
        sum(machine_opened)::bigint as machine_opened,
        sum(clicked)::bigint as clicked,
        sum(human_clicked)::bigint as human_clicked,
        sum(machine_clicked)::bigint as machine_clicked,
        sum(replied)::bigint as replied
    from {{ ref('engagement_stats') }}
    group by workspace_id, campaign_id
),

leaving as (
    select
        workspace_id,
        campaign_id,
        sum(unsubscribed)::bigint as unsubscribed,
        sum(complained)::bigint as complained
    from {{ ref('unsubscribe_stats') }}
    group by workspace_id, campaign_id
),

activity as (
    select
        workspace_id,
        campaign_id,
        max(
            greatest(sent_at, delivered_at, first_opened_at, first_clicked_at, replied_at, bounced_at, unsubscribed_at)
        ) as last_activity_at
    from {{ ref('int_messages__engagement') }}
    group by workspace_id, campaign_id
),

figures as (
    select
        listed.workspace_id,
        listed.campaign_id,
        listed.kind,
        listed.sequence_id,
        listed.name,
        listed.status,
        coalesce(delivery.sent, 0) as sent,
        coalesce(delivery.delivered, 0) as delivered,
        {{ known('delivery.bounced') }} as bounced,
        {{ known('delivery.hard_bounced') }} as hard_bounced,
        {{ known('delivery.soft_bounced') }} as soft_bounced,
        {{ known('engagement.opened') }} as opened,
        {{ known('engagement.human_opened') }} as human_opened,
        {{ known('engagement.machine_opened') }} as machine_opened,
        {{ known('engagement.clicked') }} as clicked,
        {{ known('engagement.human_clicked') }} as human_clicked,
        {{ known('engagement.machine_clicked') }} as machine_clicked,
        {{ known('engagement.replied') }} as replied,
        {{ known('leaving.unsubscribed') }} as unsubscribed,
        leaving.complained,
        listed.created_at,
        delivery.first_sent_at,
        delivery.last_sent_at,
        coalesce(activity.last_activity_at, delivery.last_sent_at) as last_activity_at
    from listed
    left join delivery
        on listed.workspace_id = delivery.workspace_id and listed.campaign_id = delivery.campaign_id
    left join engagement
        on listed.workspace_id = engagement.workspace_id and listed.campaign_id = engagement.campaign_id
    left join leaving
        on listed.workspace_id = leaving.workspace_id and listed.campaign_id = leaving.campaign_id
    left join activity
        on listed.workspace_id = activity.workspace_id and listed.campaign_id = activity.campaign_id
    where not listed.is_deleted or delivery.sent > 0
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
    clicked,
    human_clicked,
    machine_clicked,
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
