select
    id as event_id,
    workspace_id,
    draft_id as message_id,
    type,
    verdict,
    -- A bounce without a type counts as hard.
    case when type = 'bounced' then coalesce(nullif(data ->> 'bounce_type', ''), 'hard') end as bounce_type,
    occurred_at,
    synced_at
from {{ source('app', 'email_events') }}
