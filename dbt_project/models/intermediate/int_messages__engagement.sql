{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='message_id',
        on_schema_change='fail',
        indexes=[
            {'columns': ['message_id'], 'unique': true},
            {'columns': ['step_id', 'sent_on']},
            {'columns': ['workspace_id', 'timezone']},
            {'columns': ['counted_at']},
            {'columns': ['accepted_at']},
            {'columns': ['written_by']},
            {'columns': ['complete_before']},
        ],
    )
}}

with
{% if is_incremental() %}
-- Select changed messages by the transactions that wrote their rows, not by times: a row may commit long after the time
-- that it carries, and an event may be days old when it arrives. The sources are referenced again below instead of in
-- one common table expression, because one that is used twice is materialised and would read the whole table.
{%- set is_new = written_since(last_complete_transaction('complete_before')) %}
changed_messages as (
    select message_id
    from {{ ref('stg_app__send_attempts') }}
    where {{ is_new }}
    union
    select message_id
    from {{ ref('stg_app__email_events') }}
    where {{ is_new }}
    union
    select message_id
    from {{ ref('stg_app__replies') }}
    where {{ is_new }}
    {%- for workspace_id in workspaces_with_new_timezone() %}
    -- The workspace's timezone has changed, so all its messages get other days.
    union
    select message_id from {{ this }}
    where workspace_id = '{{ workspace_id }}'
    {%- endfor %}
),
{% else %}
changed_messages as (
    select message_id from {{ ref('stg_app__send_attempts') }}
),
{% endif %}

messages as (
    select
        drafts.message_id,
        drafts.workspace_id,
        drafts.sequence_id::text as campaign_id,
        drafts.sequence_id,
        drafts.step_id,
        drafts.lead_id,
        drafts.enrollment_id,
        coalesce(drafts.sent_at, attempts.claimed_at) as sent_at,
        attempts.tracks_opens,
        attempts.tracks_clicks,
        attempts.recorded_at as accepted_at,
        workspaces.timezone
    from changed_messages
    inner join {{ ref('stg_app__send_attempts') }} as attempts on changed_messages.message_id = attempts.message_id
    inner join {{ ref('stg_app__email_drafts') }} as drafts on attempts.message_id = drafts.message_id
    inner join {{ ref('stg_app__workspaces') }} as workspaces on drafts.workspace_id = workspaces.workspace_id
    where attempts.outcome = 'accepted'
),

events as (
    select
        changed_messages.message_id,
        min(log.occurred_at) filter (where log.type = 'delivered') as delivered_event_at,
        -- What came last is decided by the provider's own times, so that all sources decide it alike.
        max(log.reported_at) filter (
            where log.type in ('delivered', 'opened', 'clicked', 'unsubscribed')
        ) as last_delivery_proof_at,
        min(log.occurred_at) filter (where log.type = 'opened') as first_opened_at,
        min(log.occurred_at) filter (where log.type = 'opened' and log.verdict = 'human') as first_human_opened_at,
        min(log.occurred_at) filter (where log.type = 'opened' and log.verdict = 'machine') as first_machine_opened_at,
        min(log.occurred_at) filter (where log.type = 'clicked') as first_clicked_at,
        min(log.occurred_at) filter (where log.type = 'clicked' and log.verdict = 'human') as first_human_clicked_at,
        min(log.occurred_at) filter (
            where log.type = 'clicked' and log.verdict = 'machine'
        ) as first_machine_clicked_at,
        count(*) filter (where log.type = 'opened') as opens,
        count(*) filter (where log.type = 'opened' and log.verdict = 'human') as human_opens,
        count(*) filter (where log.type = 'opened' and log.verdict = 'machine') as machine_opens,
        count(*) filter (where log.type = 'clicked') as clicks,
        count(*) filter (where log.type = 'clicked' and log.verdict = 'human') as human_clicks,
        count(*) filter (where log.type = 'clicked' and log.verdict = 'machine') as machine_clicks,
        min(log.occurred_at) filter (where log.bounce_kind <> 'address') as first_soft_bounced_at,
        max(log.reported_at) filter (where log.bounce_kind <> 'address') as last_soft_bounced_at,
        min(log.occurred_at) filter (where log.bounce_kind = 'address') as hard_bounced_at,
        min(log.occurred_at) filter (where log.type = 'complained') as complained_at,
        min(log.occurred_at) filter (where log.type = 'unsubscribed') as unsubscribed_at
    from changed_messages
    inner join {{ ref('stg_app__email_events') }} as log on changed_messages.message_id = log.message_id
    group by changed_messages.message_id
),

replies as (
    select
        changed_messages.message_id,
        min(log.received_at) filter (where not log.is_automatic) as replied_at,
        max(log.received_at) filter (where not log.is_automatic) as last_replied_at
    from changed_messages
    inner join {{ ref('stg_app__replies') }} as log on changed_messages.message_id = log.message_id
    group by changed_messages.message_id
),

messages_with_events as (
    select
        messages.*,
        coalesce(
            events.delivered_event_at,
            -- An open, click, reply or unsubscribe proves the delivery, even if it was never reported.
            least(events.first_opened_at, events.first_clicked_at, events.unsubscribed_at, replies.replied_at)
        ) as delivered_at,
        events.first_opened_at,
        events.first_human_opened_at,
        events.first_machine_opened_at,
        events.first_clicked_at,
        events.first_human_clicked_at,
        events.first_machine_clicked_at,
        coalesce(events.opens, 0) as opens,
        coalesce(events.human_opens, 0) as human_opens,
        coalesce(events.machine_opens, 0) as machine_opens,
        coalesce(events.clicks, 0) as clicks,
        coalesce(events.human_clicks, 0) as human_clicks,
        coalesce(events.machine_clicks, 0) as machine_clicks,
        replies.replied_at,
        coalesce(events.hard_bounced_at, events.first_soft_bounced_at) as bounced_at,
        events.unsubscribed_at,
        events.complained_at,
        -- A person who replies got the mail by another way, such as a forward, whatever the server said.
        events.hard_bounced_at is not null and replies.replied_at is null as is_hard_bounced,
        -- A soft bounce that a later delivery followed was only a delay.
        coalesce(
            events.hard_bounced_at is null
            and events.last_soft_bounced_at
            >= coalesce(greatest(events.last_delivery_proof_at, replies.last_replied_at), '-infinity'),
            false
        ) as is_soft_bounced
    from messages
    left join events on messages.message_id = events.message_id
    left join replies on messages.message_id = replies.message_id
),

messages_with_outcome as (
    select
        *,
        is_hard_bounced or is_soft_bounced as is_bounced,
        delivered_at is not null and not is_hard_bounced and not is_soft_bounced as is_delivered
    from messages_with_events
),

messages_with_flags as (
    select
        *,
        -- What is reported although it was not asked for counts as measured, so that no rate exceeds 1.
        is_delivered and (tracks_opens or opens > 0) as has_measured_opens,
        is_delivered and (tracks_clicks or clicks > 0) as has_measured_clicks,
        is_delivered and opens > 0 as is_opened,
        is_delivered and human_opens > 0 as is_human_opened,
        is_delivered and machine_opens > 0 as is_machine_opened,
        is_delivered and clicks > 0 as is_clicked,
        is_delivered and human_clicks > 0 as is_human_clicked,
        is_delivered and machine_clicks > 0 as is_machine_clicked,
        is_delivered and replied_at is not null as is_replied,
        is_delivered and unsubscribed_at is not null as is_unsubscribed,
        complained_at is not null as is_complained
    from messages_with_outcome
),

messages_with_days as (
    select
        *,
        {{ local_event_days() }}
    from messages_with_flags
)

select
    message_id,
    workspace_id,
    campaign_id,
    sequence_id,
    step_id,
    lead_id,
    enrollment_id,
    sent_at,
    delivered_at,
    first_opened_at,
    first_human_opened_at,
    first_machine_opened_at,
    first_clicked_at,
    first_human_clicked_at,
    first_machine_clicked_at,
    replied_at,
    bounced_at,
    unsubscribed_at,
    complained_at,
    opens,
    human_opens,
    machine_opens,
    clicks,
    human_clicks,
    machine_clicks,
    is_delivered,
    is_bounced,
    is_hard_bounced,
    is_soft_bounced,
    has_measured_opens,
    has_measured_clicks,
    is_opened,
    is_human_opened,
    is_machine_opened,
    is_clicked,
    is_human_clicked,
    is_machine_clicked,
    is_replied,
    is_unsubscribed,
    is_complained,
    greatest({{ event_times() }}) as last_activity_at,
    {{ event_days() | join(', ') }},
    array(
        select distinct days.day
        from unnest(array[{{ event_days() | join(', ') }}]) as days (day)
        where days.day is not null
    ) as active_on,
    timezone,
    accepted_at,
    pg_current_xact_id() as written_by,
    {{ oldest_open_transaction() }} as complete_before,
    '{{ run_started_at }}'::timestamptz as counted_at
from messages_with_days
-- Store the messages of a step and a day together, because they are counted together.
order by step_id asc, sent_on asc
