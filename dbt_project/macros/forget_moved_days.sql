{# When a workspace moves to another timezone, its days are other days: what was counted by the old ones goes. #}
{% macro forget_moved_days() -%}
    {%- if is_incremental() -%}
    with days as materialized (
        select
            workspaces.workspace_id,
            (
                select max(messages.timezone) from {{ ref('int_messages__engagement') }} as messages
                where messages.workspace_id = workspaces.workspace_id
            ) as timezone
        from {{ ref('stg_app__workspaces') }} as workspaces
    )
    delete from {{ this }} as counted
    using days
    where counted.workspace_id = days.workspace_id and counted.timezone <> days.timezone
    {%- endif -%}
{%- endmacro %}
