"""Plants faults in the migrated schema: unique indexes, policies, triggers and the conditions of functions."""

from collections.abc import Iterator

import psycopg

from faults.fault import Fault, one_line
from faults.sql_text import find_sql_edits

_UNIQUE = """
SELECT table_schema.nspname || '.' || relation.relname, name.relname, constraint_row.conname,
       pg_get_indexdef(index.indexrelid)
  FROM pg_index AS index
  JOIN pg_class AS name ON name.oid = index.indexrelid
  JOIN pg_class AS relation ON relation.oid = index.indrelid
  JOIN pg_namespace AS table_schema ON table_schema.oid = relation.relnamespace
  LEFT JOIN pg_constraint AS constraint_row
    ON constraint_row.conindid = index.indexrelid AND constraint_row.contype = 'u'
 WHERE index.indisunique AND NOT index.indisprimary AND table_schema.nspname IN ('app', 'everlytic')
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = index.indexrelid AND contype = 'f')
 ORDER BY 1, 2
"""
_POLICIES = """
SELECT schemaname || '.' || tablename, policyname, qual, with_check
  FROM pg_policies WHERE schemaname IN ('app', 'everlytic') ORDER BY 1, 2
"""
_TRIGGERS = """
SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(pg_trigger.oid)
  FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
 WHERE NOT tgisinternal AND relnamespace::regnamespace::text IN ('app', 'everlytic') ORDER BY 1, 2
"""
_FUNCTIONS = """
SELECT pronamespace::regnamespace || '.' || proname, pg_get_functiondef(oid)
  FROM pg_proc WHERE pronamespace::regnamespace::text IN ('app', 'everlytic') AND prokind = 'f' ORDER BY 1, 2
"""


def find_schema_faults(url: str) -> Iterator[Fault]:
    """Yield the faults of a migrated database, in a fixed order."""
    with psycopg.connect(url) as connection:
        for table, index, constraint, definition in connection.execute(_UNIQUE):
            drop = (
                f"ALTER TABLE {table} DROP CONSTRAINT {constraint}"
                if constraint
                else f"DROP INDEX {_schema(table)}.{index}"
            )
            yield _fault(table, index, "unique index dropped", definition, drop)
        for table, policy, using, check in connection.execute(_POLICIES):
            if using not in {None, "true"}:
                yield _fault(
                    table, policy, "policy weakened", f"USING {using}", f"ALTER POLICY {policy} ON {table} USING (true)"
                )
            if check not in {None, "true"}:
                statement = f"ALTER POLICY {policy} ON {table} WITH CHECK (true)"
                yield _fault(table, policy, "policy weakened", f"WITH CHECK {check}", statement)
        for table, trigger, definition in connection.execute(_TRIGGERS):
            yield _fault(table, trigger, "trigger dropped", definition, f"DROP TRIGGER {trigger} ON {table}")
        for function, definition in connection.execute(_FUNCTIONS):
            for number, edit in enumerate(find_sql_edits(definition)):
                before = definition[edit.start : edit.end]
                yield _fault(function, function, edit.kind, before, edit.apply(definition), number)


def _schema(table: str) -> str:
    return table.partition(".")[0]


def _fault(path: str, place: str, kind: str, before: str, statement: str, number: int = 0) -> Fault:
    return Fault("schema", path, 0, place, kind, one_line(before), "", statement=statement, number=number)
