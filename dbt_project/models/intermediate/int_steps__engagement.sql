{{ config(materialized='table') }}

select
    sequences.workspace_id,
    sequences.sequence_id::text as campaign_id,
    steps.step_id,
    steps.step_order,
    {%- for figure in delivery_figures() + engagement_figures() + ['unsubscribed', 'complained'] %}
    coalesce(sum(days.{{ figure }}), 0)::bigint as {{ figure }},
    {%- endfor %}
    min(days.first_sent_at) as first_sent_at,
    max(days.last_sent_at) as last_sent_at,
    max(days.last_unsubscribed_at) as last_unsubscribed_at,
    max(days.last_activity_at) as last_activity_at
from {{ ref('stg_app__sequence_steps') }} as steps
inner join {{ ref('stg_app__sequences') }} as sequences on steps.sequence_id = sequences.sequence_id
left join {{ ref('int_step_days__engagement') }} as days on steps.step_id = days.step_id
group by sequences.workspace_id, sequences.sequence_id, sequences.is_deleted, steps.step_id, steps.step_order
having not sequences.is_deleted or count(days.step_id) > 0
