select
    id as reply_id,
    workspace_id,
    draft_id as message_id,
    lead_id,
    coalesce(is_automatic, false) as is_automatic,
    received_at,
    updated_at,
    written_by
from {{ source('app', 'replies') }}
