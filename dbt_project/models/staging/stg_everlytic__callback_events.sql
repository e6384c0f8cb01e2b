select
    workspace_id,
    event_key,
    transaction_id,
    message_id,
    group_name as campaign_id,
    type,
    case when type in ('bounce', 'failed') then coalesce(bounce_kind, 'unknown') end as bounce_kind,
    occurred_at,
    synced_at,
    applied_at
from {{ source('everlytic', 'callback_events') }}
