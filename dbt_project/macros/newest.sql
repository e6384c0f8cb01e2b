{#
  How far this model has got, less the time by which a row may be late: the bound from which the next run looks. Asked
  beforehand and written as a literal: for a bound that it cannot see, the planner would read all of history.
#}
{% macro newest(column, lookback='0') -%}
    {%- set bound = '-infinity' -%}
    {%- if execute -%}
        {%- set asked -%}
            select coalesce(max({{ column }}), '-infinity') - interval '{{ lookback }}' from {{ this }}
        {%- endset -%}
        {%- set bound = run_query(asked).rows[0][0] -%}
    {%- endif -%}
    '{{ bound }}'::timestamptz
{%- endmacro %}
