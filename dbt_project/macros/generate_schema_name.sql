{# A model's schema is the one of its folder in every environment, because the API reads the marts by schema name. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
