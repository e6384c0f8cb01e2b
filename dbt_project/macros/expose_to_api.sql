{#
  Grants the API read access to a rebuilt mart, in the transaction that builds it: the new table has no grants and no
  row-level security policy, and must never be visible without them. The change log notifies the live queries of every
  workspace, because a workspace whose last row is gone has no row that could notify them.
#}
{% macro expose_to_api(relation) -%}
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
