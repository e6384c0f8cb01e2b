select
    id as step_id,
    workspace_id,
    sequence_id,
    step_order
from {{ source('app', 'sequence_steps') }}
