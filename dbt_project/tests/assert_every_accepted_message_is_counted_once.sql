{{ config(tags=['nightly']) }}

-- What was accepted of late is there, and the days add up to the messages that were counted of late.
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

counted as (
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
        counted.step_id,
        counted.sent_on,
        count(*) as messages
    from counted
    inner join {{ ref('int_messages__engagement') }} as messages
        on counted.step_id = messages.step_id and counted.sent_on = messages.sent_on
    group by counted.step_id, counted.sent_on
)

select 'not counted: ' || message_id as wrong
from missing

union all

select 'step ' || counted.step_id || ' on ' || counted.sent_on || ': ' || counted.messages || ' counted' as wrong
from counted
left join messages on counted.step_id = messages.step_id and counted.sent_on = messages.sent_on
where counted.messages is distinct from messages.messages
