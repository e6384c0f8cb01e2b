select
    id as sequence_id,
    workspace_id,
    name,
    status,
    deleted_at is not null as is_deleted,
    created_at
from {{ source('app', 'sequences') }}
