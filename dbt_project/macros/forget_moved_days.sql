{# When a workspace moves to another timezone, its days are other days: what was counted by the old ones goes. #}
{% macro forget_moved_days() -%}
    {%- if is_incremental() -%}
    delete from {{ this }} as counted
    using {{ ref('stg_app__workspaces') }} as workspaces
    where
        counted.workspace_id = workspaces.workspace_id
        and counted.timezone <> (
            select max(messages.timezone)
            from {{ ref('int_messages__engagement') }} as messages
            where messages.workspace_id = workspaces.workspace_id
        )
    {%- endif -%}
{%- endmacro %}
