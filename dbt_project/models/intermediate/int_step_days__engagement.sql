{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['step_id', 'sent_on'],
        on_schema_change='fail',
        pre_hook="{{ delete_days_of_old_timezone() }}",
        indexes=[
            {'columns': ['step_id', 'sent_on', 'happened_on'], 'unique': true},
            {'columns': ['counted_at']},
            {'columns': ['complete_before']},
        ],
    )
}}

-- Used by the pre-hook. depends_on: {{ ref('stg_app__workspaces') }}
with
{% if is_incremental() %}
-- Count a whole send day again if one of its messages was counted again.
changed_days as (
    select distinct
        step_id,
        sent_on
    from {{ ref('int_messages__engagement') }}
    where {{ written_since(last_complete_transaction('complete_before')) }}
),

messages as (
    select messages.*
    from changed_days
    inner join {{ ref('int_messages__engagement') }} as messages
        on changed_days.step_id = messages.step_id and changed_days.sent_on = messages.sent_on
),
{% else %}
messages as (
    select * from {{ ref('int_messages__engagement') }}
),
{% endif %}

days as (
    select
        messages.step_id,
        messages.sent_on,
        event_days.day as happened_on,
        {{ count_figures('event_days.day') }},
        min(messages.sent_at) as first_sent_at,
        max(messages.sent_at) as last_sent_at,
        max(messages.unsubscribed_at) filter (where messages.is_unsubscribed) as last_unsubscribed_at,
        max(messages.last_activity_at) as last_activity_at,
        max(messages.timezone) as timezone,
        max(messages.counted_at) as counted_at,
        {{ oldest_open_transaction() }} as complete_before
    from messages
    cross join lateral unnest(messages.active_on) as event_days (day)
    group by messages.step_id, messages.sent_on, event_days.day
)

select
    steps.workspace_id,
    steps.sequence_id::text as campaign_id,
    days.*
from days
inner join {{ ref('stg_app__sequence_steps') }} as steps on days.step_id = steps.step_id
