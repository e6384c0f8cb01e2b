{{ config(post_hook="{{ create_workspace_totals(this) }}") }}

with
figures as (
    select
        messages.workspace_id,
        (messages.sent_at at time zone workspaces.timezone)::date as sent_on,
        {{ delivery_figures() }},
        {{ engagement_figures() }},
        {{ leaving_figures() }}
    from {{ ref('int_messages__engagement') }} as messages
    inner join {{ ref('stg_app__workspaces') }} as workspaces on messages.workspace_id = workspaces.workspace_id
    group by messages.workspace_id, sent_on
)

select
    workspace_id,
    sent_on,
    sent,
    delivered,
    bounced,
    hard_bounced,
    soft_bounced,
    opened,
    human_opened,
    machine_opened,
    clicked,
    human_clicked,
    machine_clicked,
    replied,
    unsubscribed,
    complained,
    {{ rates() }},
    {{ as_of() }}
from figures
