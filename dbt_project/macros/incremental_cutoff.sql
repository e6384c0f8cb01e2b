{#
  The newest value of a column in this model, less the time by which a row may be late: the next run reads rows from there
  on. The value is queried first and inserted as a literal, because with a subquery the planner would read the whole table.
#}
{% macro incremental_cutoff(column, lookback='0') -%}
    {%- set cutoff = '-infinity' -%}
    {%- if execute -%}
        {%- set cutoff_query -%}
            select coalesce(max({{ column }}), '-infinity') - interval '{{ lookback }}' from {{ this }}
        {%- endset -%}
        {%- set cutoff = run_query(cutoff_query).rows[0][0] -%}
    {%- endif -%}
    '{{ cutoff }}'::timestamptz
{%- endmacro %}
