select
    workspace_id,
    campaign_id,
    happened_on as day,
    {{ sums(daily_figures()) }},
    {{ leaving_sums() }},
    {{ as_of() }}
from {{ ref('int_step_days__engagement') }}
group by workspace_id, campaign_id, happened_on
