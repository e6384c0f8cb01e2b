{{ config(tags=['nightly']) }}

-- Each message accepted in the last day has a row, and the days counted in the last day add up to their messages.
with
missing as (
    select attempts.message_id
    from {{ ref('stg_app__send_attempts') }} as attempts
    left join {{ ref('int_messages__engagement') }} as messages on attempts.message_id = messages.message_id
    where
        attempts.outcome = 'accepted'
        and attempts.recorded_at >= '{{ run_started_at }}'::timestamptz - interval '1 day'
        and attempts.recorded_at < '{{ run_started_at }}'::timestamptz - interval '1 minute'
        and messages.message_id is null
),

day_counts as (
    select
        step_id,
        sent_on,
        sum(sent) as messages
    from {{ ref('int_step_days__engagement') }}
    group by step_id, sent_on
    having max(counted_at) >= now() - interval '1 day'
),

messages as (
    select
        day_counts.step_id,
        day_counts.sent_on,
        count(*) as messages
    from day_counts
    inner join {{ ref('int_messages__engagement') }} as messages
        on day_counts.step_id = messages.step_id and day_counts.sent_on = messages.sent_on
    group by day_counts.step_id, day_counts.sent_on
)

select 'not counted: ' || message_id as problem
from missing

union all

select format('step %s on %s: %s counted', day_counts.step_id, day_counts.sent_on, day_counts.messages) as problem
from day_counts
left join messages on day_counts.step_id = messages.step_id and day_counts.sent_on = messages.sent_on
where day_counts.messages is distinct from messages.messages
