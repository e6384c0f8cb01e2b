{# Each expression is true or null in every row; returns each violated expression with its row. #}
{% test expressions_are_true(model, expressions) %}
{%- for expression in expressions %}
select
    '{{ expression | replace("'", "''") }}' as violated_expression,
    to_jsonb(tested) as row_content
from (select * from {{ model }}) as tested
where not ({{ expression }})
{%- if not loop.last %}
union all
{%- endif %}
{%- endfor %}
{% endtest %}
