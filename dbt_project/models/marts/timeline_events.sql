with
day_figures as (
    select
        workspace_id,
        day,
        {{ sum_figures(daily_figures()) }},
        {{ unsubscribe_sums() }}
    from {{ ref('campaign_days') }}
    group by workspace_id, day
),

ranges as (
    select
        workspace_id,
        min(day) as first_day,
        max(day) as last_day
    from day_figures
    group by workspace_id
),

days as (
    select
        ranges.workspace_id,
        generated.at::date as day
    from ranges
    cross join lateral generate_series(ranges.first_day::timestamp, ranges.last_day, '1 day') as generated (at)
)

select
    days.workspace_id,
    days.day,
    {% for figure in daily_figures() -%}
    coalesce(day_figures.{{ figure }}, 0) as {{ figure }},
    {% endfor -%}
    coalesce(day_figures.unsubscribed, 0) as unsubscribed,
    day_figures.complained,
    {{ as_of() }}
from days
left join day_figures on days.workspace_id = day_figures.workspace_id and days.day = day_figures.day
