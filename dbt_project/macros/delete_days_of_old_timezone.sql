{# Deletes the rows of workspaces whose timezone has changed: the days of the old timezone are no longer valid. #}
{% macro delete_days_of_old_timezone() -%}
    {%- if is_incremental() -%}
    with workspace_timezones as materialized (
        select
            workspaces.workspace_id,
            (
                select max(messages.timezone) from {{ ref('int_messages__engagement') }} as messages
                where messages.workspace_id = workspaces.workspace_id
            ) as timezone
        from {{ ref('stg_app__workspaces') }} as workspaces
    )
    delete from {{ this }} as days
    using workspace_timezones
    where
        days.workspace_id = workspace_timezones.workspace_id
        and days.timezone <> workspace_timezones.timezone
    {%- endif -%}
{%- endmacro %}
