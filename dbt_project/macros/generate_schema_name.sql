{# A model's schema is exactly the one its folder names, in every environment: the API reads them by name. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
