select
    id as event_id,
    workspace_id,
    draft_id as message_id,
    type,
    verdict,
    case when type = 'bounced' then coalesce(bounce_kind, 'unknown') end as bounce_kind,
    coalesce(data ->> 'by' = 'mail', false) as is_from_mail,
    occurred_at,
    coalesce(reported_at, occurred_at) as reported_at,
    synced_at,
    written_by
from {{ source('app', 'email_events') }}
