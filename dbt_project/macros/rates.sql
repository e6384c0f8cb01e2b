{# A ratio as numeric; null if the denominator is 0. #}
{% macro rate(numerator, denominator) -%}
    trim_scale({{ numerator }}::numeric / nullif({{ denominator }}, 0))
{%- endmacro %}


{#
  All rates, as (numerator, denominator). They are defined only here. Their counts must be columns in scope.
#}
{% macro rates(names) -%}
    {%- set definitions = {
        'delivery_rate': ('delivered', 'sent'),
        'bounce_rate': ('bounced', 'sent'),
        'open_rate': ('opened', 'opens_measured'),
        'human_open_rate': ('human_opened', 'opens_measured'),
        'click_rate': ('clicked', 'clicks_measured'),
        'human_click_rate': ('human_clicked', 'clicks_measured'),
        'click_to_open_rate': ('clicked_with_opens_measured', 'opened'),
        'reply_rate': ('replied', 'delivered'),
        'unsubscribe_rate': ('unsubscribed', 'delivered'),
    } -%}
    {%- for name in names or definitions.keys() %}
    {{ rate(*definitions[name]) }} as {{ name }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}
