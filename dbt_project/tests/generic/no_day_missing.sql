{# Per workspace, each day between the first and the last has its row. #}
{% test no_day_missing(model, column_name) %}
select workspace_id
from {{ model }}
group by workspace_id
having count(distinct {{ column_name }}) <> max({{ column_name }}) - min({{ column_name }}) + 1
{% endtest %}
