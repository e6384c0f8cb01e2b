{# Each of the columns is a share: null, or from 0 to 1. #}
{% test shares(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where not (true
    {%- for column in columns %}
    and coalesce({{ column }} between 0 and 1, true)
    {%- endfor %}
)
{% endtest %}
