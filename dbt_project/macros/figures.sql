{#
  The events of a message: the day column of each event, its (first) time and the flag that says whether it counts.
  Expects the columns of int_messages__engagement and the workspace's timezone.
#}
{% macro message_events() -%}
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


{# The day columns of the events. #}
{% macro event_days() -%}
    {{ return(message_events().keys() | list) }}
{%- endmacro %}


{# The times of the events that count; null for the others. #}
{% macro event_times() -%}
    {%- for time, is_counted in message_events().values() %}
    case when {{ is_counted }} then {{ time }} end
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{# The days of the events that count, in the workspace's timezone; null for the others. #}
{% macro local_event_days() -%}
    {%- for day, (time, is_counted) in message_events().items() %}
    case when {{ is_counted }} then ({{ time }} at time zone timezone)::date end as {{ day }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{#
  All figures: counts of the events of `messages` on a day. They are defined only here. `opened_on` is counted as `opened`,
  and so on. Repeated opens and clicks count on the day of the first one. The counts of a day fit an integer, which is
  summed several times faster than a bigint.
#}
{% macro count_figures(day) -%}
    {%- set repeats = {
        'opens': 'opened_on',
        'human_opens': 'human_opened_on',
        'machine_opens': 'machine_opened_on',
        'clicks': 'clicked_on',
        'human_clicks': 'human_clicked_on',
        'machine_clicks': 'machine_clicked_on',
    } -%}
    {%- for event_day in event_days() %}
    (count(*) filter (where messages.{{ event_day }} = {{ day }}))::integer as {{ event_day[:-3] }},
    {%- endfor %}
    (
        count(*) filter (where messages.has_measured_opens and messages.delivered_on = {{ day }})
    )::integer as opens_measured,
    (
        count(*) filter (where messages.has_measured_clicks and messages.delivered_on = {{ day }})
    )::integer as clicks_measured,
    (
        count(*) filter (where messages.has_measured_opens and messages.clicked_on = {{ day }})
    )::integer as clicked_with_opens_measured,
    (count(*) filter (where messages.is_hard_bounced and messages.bounced_on = {{ day }}))::integer as hard_bounced,
    (count(*) filter (where messages.is_soft_bounced and messages.bounced_on = {{ day }}))::integer as soft_bounced,
    {%- for figure, event_day in repeats.items() %}
    coalesce(sum(messages.{{ figure }}) filter (where messages.{{ event_day }} = {{ day }}), 0)::integer as {{ figure }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{# The sums of figures over several days. #}
{% macro sum_figures(figures) -%}
    {%- for figure in figures %}
    sum({{ figure }})::bigint as {{ figure }}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{# Sums of unsubscribes and complaints. Everlytic reports no complaints on transactional mail, so 0 becomes null. #}
{% macro unsubscribe_sums() -%}
    sum(unsubscribed)::bigint as unsubscribed,
    nullif(sum(complained), 0)::bigint as complained
{%- endmacro %}


{# The figures of deliveries and bounces. #}
{% macro delivery_figures() -%}
    {{ return(['sent', 'delivered', 'bounced', 'hard_bounced', 'soft_bounced']) }}
{%- endmacro %}


{# The figures of opens, clicks and replies: numbers of messages, and of opens and clicks with repeats. #}
{% macro engagement_figures() -%}
    {{ return([
        'opens_measured', 'clicks_measured', 'clicked_with_opens_measured',
        'opened', 'human_opened', 'machine_opened', 'clicked', 'human_clicked', 'machine_clicked', 'replied',
        'opens', 'human_opens', 'machine_opens', 'clicks', 'human_clicks', 'machine_clicks',
    ]) }}
{%- endmacro %}


{# The figures of a day in a timeline. #}
{% macro daily_figures() -%}
    {{ return([
        'sent', 'delivered', 'opens_measured', 'clicks_measured', 'opened', 'human_opened', 'machine_opened', 'clicked',
        'human_clicked', 'machine_clicked', 'replied', 'bounced', 'hard_bounced', 'soft_bounced',
    ]) }}
{%- endmacro %}


{#
  The figures that a bulk email's report contains; it has no human or machine verdicts and no replies. Everlytic
  measures the opens and clicks of all bulk emails.
#}
{% macro from_bulk_report(figures) -%}
    {%- set measured = {
        'opens_measured': 'delivered', 'clicks_measured': 'delivered', 'clicked_with_opens_measured': 'clicked',
    } -%}
    {%- for figure in figures %}
    {% if figure in ['opened', 'clicked', 'opens', 'clicks'] %}{{ figure }}
    {%- else %}{{ measured.get(figure, 'null') }} as {{ figure }}{% endif %}
    {%- if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}


{# The start of this run; rows that arrived before it are counted. #}
{% macro as_of() -%}
    '{{ run_started_at }}'::timestamptz as as_of
{%- endmacro %}


{# Returns 0 for a sequence without messages; a figure that a bulk email's report lacks stays null. #}
{% macro zero_if_sequence(figure) -%}
    case when all_campaigns.kind = 'sequence' then coalesce({{ figure }}, 0) else {{ figure }} end
{%- endmacro %}
