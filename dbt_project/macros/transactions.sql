{#
  The oldest transaction that was open when this statement began. The statement sees every row of earlier transactions;
  rows of this one and of later ones may commit afterwards, whatever times they carry.
#}
{% macro oldest_open_transaction() -%}
    pg_snapshot_xmin(pg_current_snapshot())
{%- endmacro %}


{#
  The oldest transaction that was open when this model was last built: the next run reads the rows that it and later ones
  wrote. It is queried first and inserted as a literal, because with a subquery the planner would read the whole table.
  In a database restored from a dump, ids of transactions begin again; an id that lies ahead of all counts as none.
#}
{% macro last_complete_transaction(column) -%}
    {%- set transaction = '0' -%}
    {%- if execute -%}
        {%- set transaction_query -%}
            select coalesce(max({{ column }}), '0')::text from {{ this }}
            where {{ column }} < pg_snapshot_xmax(pg_current_snapshot())
        {%- endset -%}
        {%- set transaction = run_query(transaction_query).rows[0][0] -%}
    {%- endif -%}
    {{ return(transaction) }}
{%- endmacro %}


{#
  Whether a row was written by a transaction or by a later one; every row if there is no transaction. Rows of a restored
  dump have ids that lie ahead: all rows were read once after the restore.
#}
{% macro written_since(transaction) -%}
    {%- if transaction == '0' -%}
    true
    {%- else -%}
    written_by >= '{{ transaction }}'::xid8 and written_by < pg_snapshot_xmax(pg_current_snapshot())
    {%- endif -%}
{%- endmacro %}
