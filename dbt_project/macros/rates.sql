{# A share as NUMERIC; null where there is nothing to divide by. #}
{% macro rate(numerator, denominator) -%}
    trim_scale({{ numerator }}::numeric / nullif({{ denominator }}, 0))
{%- endmacro %}


{#
  Every rate of the product, defined here and nowhere else. Each one needs the counts it divides as columns in scope.
#}
{% macro rates(names) -%}
    {%- set definitions = {
        'delivery_rate': ('delivered', 'sent'),
        'bounce_rate': ('bounced', 'sent'),
        'open_rate': ('opened', 'delivered'),
        'human_open_rate': ('human_opened', 'delivered'),
        'click_rate': ('clicked', 'delivered'),
        'human_click_rate': ('human_clicked', 'delivered'),
        'click_to_open_rate': ('clicked', 'opened'),
        'reply_rate': ('replied', 'delivered'),
        'unsubscribe_rate': ('unsubscribed', 'delivered'),
    } -%}
    {%- for name in names or definitions.keys() %}
    {{ rate(*definitions[name]) }} as {{ name }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}
