{# How far this model has got, less the time by which a row may be late: the bound from which the next run looks. #}
{% macro newest(column, lookback) -%}
    (select coalesce(max(built.{{ column }}), '-infinity') - interval '{{ lookback }}' from {{ this }} as built)
{%- endmacro %}
