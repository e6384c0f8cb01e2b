select
    workspace_id,
    campaign_id,
    happened_on as day,
    {{ sum_figures(daily_figures()) }},
    {{ unsubscribe_sums() }},
    {{ as_of() }}
from {{ ref('int_step_days__engagement') }}
group by workspace_id, campaign_id, happened_on
