select
    id as workspace_id,
    name,
    timezone
from {{ source('app', 'workspaces') }}
