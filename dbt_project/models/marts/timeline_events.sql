with
happened as (
    select
        workspace_id,
        day,
        {{ sums(daily_figures()) }},
        {{ leaving_sums() }}
    from {{ ref('campaign_days') }}
    group by workspace_id, day
),

spans as (
    select
        workspace_id,
        min(day) as first_day,
        max(day) as last_day
    from happened
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
    {% for figure in daily_figures() -%}
    coalesce(happened.{{ figure }}, 0) as {{ figure }},
    {% endfor -%}
    coalesce(happened.unsubscribed, 0) as unsubscribed,
    happened.complained,
    {{ as_of() }}
from days
left join happened on days.workspace_id = happened.workspace_id and days.day = happened.day
