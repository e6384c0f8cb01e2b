{#
  Opens a freshly built mart to the API, in the transaction that builds it: a rebuilt table has neither the grants nor the
  policies of the one it replaces, and must never be seen without them. The change log tells the live queries of every
  workspace to look again: one whose last row is gone has none left to say so.
#}
{% macro serve(relation) -%}
    {%- if execute and not flags.WHICH in ('test', 'compile', 'parse') -%}
    grant select on {{ relation }} to salesmatter_app;
    alter table {{ relation }} enable row level security;
    drop policy if exists workspace on {{ relation }};
    create policy workspace on {{ relation }} for select to salesmatter_app
    using (workspace_id = (select app.current_workspace()));
    insert into app.changes (workspace_id, table_name)
    select id, '{{ relation.identifier }}' from app.workspaces;
    {%- endif -%}
{%- endmacro %}
