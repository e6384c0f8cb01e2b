select
    draft_id as message_id,
    workspace_id,
    outcome,
    everlytic_transaction_id,
    claimed_at,
    recorded_at
from {{ source('app', 'send_attempts') }}
