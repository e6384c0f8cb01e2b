select
    draft_id as message_id,
    workspace_id,
    outcome,
    everlytic_transaction_id,
    tracks_opens,
    tracks_clicks,
    claimed_at,
    recorded_at,
    written_by
from {{ source('app', 'send_attempts') }}
