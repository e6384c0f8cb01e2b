{#
  Creates the function that returns the totals and rates of the current workspace over a range of send days. A rate over
  any range cannot be stored in advance, so the function computes it with the same definition as the mart.
#}
{% macro create_workspace_totals(relation) -%}
    {%- set counts = delivery_figures() + engagement_figures() + ['unsubscribed'] -%}
    {%- set rate_names = [
        'delivery_rate', 'bounce_rate', 'open_rate', 'human_open_rate', 'click_rate', 'human_click_rate',
        'click_to_open_rate', 'reply_rate', 'unsubscribe_rate',
    ] -%}
    do $build$
    begin
        -- Drop the function only if its columns have changed, so that concurrent callers still find it.
        {{ workspace_totals_statement(relation, counts, rate_names, 'create or replace') | indent(8) }}
    exception when invalid_function_definition then
        drop function {{ relation.schema }}.workspace_totals(date, date);
        {{ workspace_totals_statement(relation, counts, rate_names, 'create') | indent(8) }}
    end
    $build$;
    revoke all on function {{ relation.schema }}.workspace_totals(date, date) from public;
    grant execute on function {{ relation.schema }}.workspace_totals(date, date) to salesmatter_app;
{%- endmacro %}


{% macro workspace_totals_statement(relation, counts, rate_names, create) -%}
    {{ create }} function {{ relation.schema }}.workspace_totals(starts_on date, ends_on date)
    returns table (
        {% for name in counts %}{{ name }} bigint, {% endfor %}
        complained bigint,
        {% for name in rate_names %}{{ name }} numeric, {% endfor %}
        as_of timestamptz
    )
    language sql stable security invoker
    as $totals$
        select totals.*, {{ rates(rate_names) }}, latest.as_of
        from (
            select
                {% for name in counts %}coalesce(sum({{ name }}), 0)::bigint as {{ name }}, {% endfor %}
                sum(complained)::bigint as complained
            from {{ relation.schema }}.{{ relation.identifier }}
            where
                workspace_id = (select app.current_workspace())
                and sent_on between coalesce(starts_on, '-infinity') and coalesce(ends_on, 'infinity')
        ) as totals
        cross join (
            select max(as_of) as as_of
            from {{ relation.schema }}.{{ relation.identifier }}
            where workspace_id = (select app.current_workspace())
        ) as latest
    $totals$;
{%- endmacro %}
