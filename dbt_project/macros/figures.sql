{# What a set of messages adds up to: counts of int_messages__engagement's flags. #}
{% macro delivery_figures() -%}
    count(*) as sent,
    count(*) filter (where is_delivered) as delivered,
    count(*) filter (where is_bounced) as bounced,
    count(*) filter (where is_hard_bounced) as hard_bounced,
    count(*) filter (where is_soft_bounced) as soft_bounced
{%- endmacro %}


{% macro engagement_figures() -%}
    count(*) filter (where is_opened) as opened,
    count(*) filter (where is_human_opened) as human_opened,
    count(*) filter (where is_machine_opened) as machine_opened,
    count(*) filter (where is_clicked) as clicked,
    count(*) filter (where is_human_clicked) as human_clicked,
    count(*) filter (where is_machine_clicked) as machine_clicked,
    count(*) filter (where is_replied) as replied
{%- endmacro %}


{# Everlytic reports no complaints on transactional mail, so none seen is "not known", never 0. #}
{% macro leaving_figures() -%}
    count(*) filter (where is_unsubscribed) as unsubscribed,
    nullif(count(*) filter (where is_complained), 0) as complained
{%- endmacro %}


{# What had arrived by the start of this run is counted. #}
{% macro as_of() -%}
    '{{ run_started_at }}'::timestamptz as as_of
{%- endmacro %}


{# A sequence that sent nothing has zero of everything; of a bulk email we know what its report says. #}
{% macro known(figure) -%}
    case when listed.kind = 'sequence' then coalesce({{ figure }}, 0) else {{ figure }} end
{%- endmacro %}
