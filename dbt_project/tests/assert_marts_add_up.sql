-- Campaigns, their days, send days and timeline days are sums of the same messages, so their totals are equal.
with
totals as (
    {%- for mart in ['campaigns', 'campaign_days', 'workspace_aggregates', 'timeline_events'] %}
    select
        workspace_id,
        sum(sent) as sent,
        sum(delivered) as delivered,
        sum(opened) as opened,
        sum(replied) as replied
    from {{ ref(mart) }}
    {% if mart == 'campaigns' %}where kind = 'sequence'{% endif %}
    group by workspace_id
    having sum(sent) > 0
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}
)

select workspace_id
from totals
group by workspace_id
having
    count(*) <> 4
    or count(distinct sent) > 1
    or count(distinct delivered) > 1
    or count(distinct opened) > 1
    or count(distinct replied) > 1
