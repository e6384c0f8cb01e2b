{# Each of the conditions is true, or unknown, of every row; a row that breaks one is returned with it. #}
{% test holds(model, conditions) %}
{%- for condition in conditions %}
select
    '{{ condition | replace("'", "''") }}' as broken,
    to_jsonb(judged) as of_row
from (select * from {{ model }}) as judged
where not ({{ condition }})
{%- if not loop.last %}
union all
{%- endif %}
{%- endfor %}
{% endtest %}
