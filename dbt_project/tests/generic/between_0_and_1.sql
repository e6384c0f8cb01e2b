{# Each column is null, or from 0 to 1. #}
{% test between_0_and_1(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where not (true
    {%- for column in columns %}
    and coalesce({{ column }} between 0 and 1, true)
    {%- endfor %}
)
{% endtest %}
