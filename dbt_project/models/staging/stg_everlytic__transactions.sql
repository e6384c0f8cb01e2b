select
    workspace_id,
    transaction_id,
    message_id,
    group_name as campaign_id,
    send_status,
    sent_at,
    opens,
    link_clicks as clicks,
    bounce_type,
    synced_at
from {{ source('everlytic', 'transactions') }}
