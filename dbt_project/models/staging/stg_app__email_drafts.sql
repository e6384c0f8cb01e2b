select
    id as message_id,
    workspace_id,
    lead_id,
    enrollment_id,
    sequence_id,
    step_id,
    step_order,
    status,
    sent_at
from {{ source('app', 'email_drafts') }}
