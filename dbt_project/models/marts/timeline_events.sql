with
happenings as (
    select
        messages.workspace_id,
        (happening.happened_at at time zone workspaces.timezone)::date as day,
        happening.figure
    from {{ ref('int_messages__engagement') }} as messages
    inner join {{ ref('stg_app__workspaces') }} as workspaces on messages.workspace_id = workspaces.workspace_id
    cross join
        lateral (
            values
            ('sent', messages.sent_at, true),
            ('delivered', messages.delivered_at, messages.is_delivered),
            ('opened', messages.first_opened_at, messages.is_opened),
            ('human_opened', messages.first_human_opened_at, messages.is_human_opened),
            ('machine_opened', messages.first_machine_opened_at, messages.is_machine_opened),
            ('clicked', messages.first_clicked_at, messages.is_clicked),
            ('human_clicked', messages.first_human_clicked_at, messages.is_human_clicked),
            ('machine_clicked', messages.first_machine_clicked_at, messages.is_machine_clicked),
            ('replied', messages.replied_at, messages.is_replied),
            ('bounced', messages.bounced_at, messages.is_bounced),
            ('unsubscribed', messages.unsubscribed_at, messages.is_unsubscribed),
            ('complained', messages.complained_at, messages.is_complained)
        ) as happening (figure, happened_at, counts)
    where happening.counts
),

spans as (
    select
        workspace_id,
        min(day) as first_day,
        max(day) as last_day
    from happenings
    group by workspace_id
),

days as (
    select
        spans.workspace_id,
        generated.at::date as day
    from spans
    cross join lateral generate_series(spans.first_day::timestamp, spans.last_day, '1 day') as generated (at)
)

select
    days.workspace_id,
    days.day,
    count(*) filter (where happenings.figure = 'sent') as sent,
    count(*) filter (where happenings.figure = 'delivered') as delivered,
    count(*) filter (where happenings.figure = 'opened') as opened,
    count(*) filter (where happenings.figure = 'human_opened') as human_opened,
    count(*) filter (where happenings.figure = 'machine_opened') as machine_opened,
    count(*) filter (where happenings.figure = 'clicked') as clicked,
    count(*) filter (where happenings.figure = 'human_clicked') as human_clicked,
    count(*) filter (where happenings.figure = 'machine_clicked') as machine_clicked,
    count(*) filter (where happenings.figure = 'replied') as replied,
    count(*) filter (where happenings.figure = 'bounced') as bounced,
    count(*) filter (where happenings.figure = 'unsubscribed') as unsubscribed,
    nullif(count(*) filter (where happenings.figure = 'complained'), 0) as complained,
    {{ as_of() }}
from days
left join happenings on days.workspace_id = happenings.workspace_id and days.day = happenings.day
group by days.workspace_id, days.day
