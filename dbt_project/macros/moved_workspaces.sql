{#
  The workspaces whose messages were counted by the days of another timezone than they have now. Asked beforehand: the
  planner would take a subquery for a part of all messages, and read all of history.
#}
{% macro moved_workspaces() -%}
    {%- set asked -%}
        select workspaces.workspace_id
        from {{ ref('stg_app__workspaces') }} as workspaces
        where workspaces.timezone <> (
            select max(counted.timezone) from {{ this }} as counted
            where counted.workspace_id = workspaces.workspace_id
        )
    {%- endset -%}
    {{ return(run_query(asked).columns[0].values() if execute else []) }}
{%- endmacro %}
