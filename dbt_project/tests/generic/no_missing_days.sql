{# Each workspace has a row for every day between its first and its last. #}
{% test no_missing_days(model, column_name) %}
select workspace_id
from {{ model }}
group by workspace_id
having count(distinct {{ column_name }}) <> max({{ column_name }}) - min({{ column_name }}) + 1
{% endtest %}
