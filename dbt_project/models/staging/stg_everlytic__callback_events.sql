select
    workspace_id,
    event_key,
    transaction_id,
    message_id,
    group_name as campaign_id,
    type,
    nullif(raw ->> 'bounce_type', '') as bounce_type,
    occurred_at,
    synced_at,
    applied_at
from {{ source('everlytic', 'callback_events') }}
