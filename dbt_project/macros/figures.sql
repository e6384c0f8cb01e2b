{#
  What can happen to a message: the day on which it counts, by its first time, and whether it counts. Expects the columns
  of int_messages__engagement, and the workspace's timezone.
#}
{% macro happenings() -%}
    {{ return({
        'sent_on': ('sent_at', 'true'),
        'delivered_on': ('delivered_at', 'is_delivered'),
        'bounced_on': ('bounced_at', 'is_bounced'),
        'opened_on': ('first_opened_at', 'is_opened'),
        'human_opened_on': ('first_human_opened_at', 'is_human_opened'),
        'machine_opened_on': ('first_machine_opened_at', 'is_machine_opened'),
        'clicked_on': ('first_clicked_at', 'is_clicked'),
        'human_clicked_on': ('first_human_clicked_at', 'is_human_clicked'),
        'machine_clicked_on': ('first_machine_clicked_at', 'is_machine_clicked'),
        'replied_on': ('replied_at', 'is_replied'),
        'unsubscribed_on': ('unsubscribed_at', 'is_unsubscribed'),
        'complained_on': ('complained_at', 'is_complained'),
    }) }}
{%- endmacro %}


{% macro days_of_happening() -%}
    {{ return(happenings().keys() | list) }}
{%- endmacro %}


{# The times that count, to be compared. #}
{% macro times_of_happening() -%}
    {%- for at, counts in happenings().values() %}
    case when {{ counts }} then {{ at }} end
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{# The days of a message's happenings, in the workspace's timezone; null where it does not count. #}
{% macro local_days() -%}
    {%- for day, (at, counts) in happenings().items() %}
    case when {{ counts }} then ({{ at }} at time zone timezone)::date end as {{ day }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{#
  Every figure of the product, defined here and nowhere else: what the happenings of `messages` on a day add up to.
  `opened_on` counts as `opened`, and so on. Repeats count with the first time. Of a day they fit an integer, which is summed several times faster than a bigint.
#}
{% macro figures_of(day) -%}
    {%- set repeated = {
        'opens': 'opened_on',
        'human_opens': 'human_opened_on',
        'machine_opens': 'machine_opened_on',
        'clicks': 'clicked_on',
        'human_clicks': 'human_clicked_on',
        'machine_clicks': 'machine_clicked_on',
    } -%}
    {%- for on in days_of_happening() %}
    (count(*) filter (where messages.{{ on }} = {{ day }}))::integer as {{ on[:-3] }},
    {%- endfor %}
    (count(*) filter (where messages.is_hard_bounced and messages.bounced_on = {{ day }}))::integer as hard_bounced,
    (count(*) filter (where messages.is_soft_bounced and messages.bounced_on = {{ day }}))::integer as soft_bounced,
    {%- for figure, on in repeated.items() %}
    coalesce(sum(messages.{{ figure }}) filter (where messages.{{ on }} = {{ day }}), 0)::integer as {{ figure }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{# What a set of days adds up to. #}
{% macro sums(figures) -%}
    {%- for figure in figures %}
    sum({{ figure }})::bigint as {{ figure }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{# Everlytic reports no complaints on transactional mail, so none seen is "not known", never 0. #}
{% macro leaving_sums() -%}
    sum(unsubscribed)::bigint as unsubscribed,
    nullif(sum(complained), 0)::bigint as complained
{%- endmacro %}


{% macro delivery_figures() -%}
    {{ return(['sent', 'delivered', 'bounced', 'hard_bounced', 'soft_bounced']) }}
{%- endmacro %}


{# How many messages were opened, clicked and answered; and how often. #}
{% macro engagement_figures() -%}
    {{ return([
        'opened', 'human_opened', 'machine_opened', 'clicked', 'human_clicked', 'machine_clicked', 'replied',
        'opens', 'human_opens', 'machine_opens', 'clicks', 'human_clicks', 'machine_clicks',
    ]) }}
{%- endmacro %}


{# What a timeline shows of a day. #}
{% macro daily_figures() -%}
    {{ return([
        'sent', 'delivered', 'opened', 'human_opened', 'machine_opened', 'clicked', 'human_clicked', 'machine_clicked',
        'replied', 'bounced', 'hard_bounced', 'soft_bounced',
    ]) }}
{%- endmacro %}


{# What a bulk email's report says of readers: it tells no people from machines, and knows no replies. #}
{% macro reported(figures) -%}
    {%- for figure in figures %}
    {% if figure in ['opened', 'clicked', 'opens', 'clicks'] %}{{ figure }}{% else %}null as {{ figure }}{% endif %}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{# What had arrived by the start of this run is counted. #}
{% macro as_of() -%}
    '{{ run_started_at }}'::timestamptz as as_of
{%- endmacro %}


{# A sequence that sent nothing has zero of everything; of a bulk email we know what its report says. #}
{% macro known(figure) -%}
    case when listed.kind = 'sequence' then coalesce({{ figure }}, 0) else {{ figure }} end
{%- endmacro %}
