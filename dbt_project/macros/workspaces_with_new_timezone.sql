{#
  The workspaces with a message that was counted in another timezone than the current one. A timezone may change between
  two statements of a build, so a workspace can have messages in both. The ids are queried first and
  inserted as literals, because with a subquery the planner would read all messages.
#}
{% macro workspaces_with_new_timezone() -%}
    {%- set workspace_query -%}
        select workspaces.workspace_id
        from {{ ref('stg_app__workspaces') }} as workspaces
        where workspaces.timezone <> any(
            select unnest(array[min(messages.timezone), max(messages.timezone)]) from {{ this }} as messages
            where messages.workspace_id = workspaces.workspace_id
        )
    {%- endset -%}
    {{ return(run_query(workspace_query).columns[0].values() if execute else []) }}
{%- endmacro %}
