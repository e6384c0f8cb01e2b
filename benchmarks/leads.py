"""Creates a workspace with many leads, and a smaller second one, with set-based statements."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from benchmarks.progress import Progress
from database.roles import connect
from salesmatter.stack import Database

BATCH_ROWS = 100_000
NEIGHBOUR_SHARE = 10
"""The second workspace has one lead for this many of the first, so that rows of both tenants alternate in the table."""

_ADD_WORKSPACE = """
INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email)
VALUES (%s, %s, 'Ann Bell', 'ann@bench.example') RETURNING id
"""
_ADD_LISTS = "INSERT INTO app.lead_lists (workspace_id, name) SELECT %s, 'List ' || i FROM generate_series(1, 5) AS i"

# Ids contain the creation time (RFC 9562), two minutes apart up to now; the update times are random after it, so the
# order of updates differs from the order in the table, as in a workspace in use.
_ADD_LEADS = """
WITH words AS (
  SELECT string_to_array('Thandi Johan Lerato Pieter Ayesha Sipho Emma Liam Naledi Ruan Zanele Daniel Fatima Werner '
           || 'Amahle Michael Chloe Kagiso Anna Bongani Sarah Tumi Marco Priya Jacques', ' ') AS first_names,
         string_to_array('Nkosi Botha Dlamini Smith Naidoo VanDerMerwe Mokoena Pillay Jacobs Khumalo Williams '
           || 'Sithole Fourie Mahlangu Govender Petersen Ndlovu Meyer Zulu Coetzee Adams Molefe Steyn Abrahams '
           || 'Radebe', ' ') AS last_names,
         string_to_array('Thornton Karoo Umhlanga Protea Baobab Springbok Savanna Drakensberg Cape Highveld Limpopo '
           || 'Marula Kestrel Fynbos Tugela Zambezi Acacia Lowveld Sterling Meridian', ' ') AS company_names,
         string_to_array('Logistics,Industries (Pty) Ltd,Foods,Holdings,Engineering,Software,Insurance Brokers,'
           || 'Retail Group,Energy,Medical Supplies', ',') AS trades,
         string_to_array('Chief Executive Officer,Sales Director,Head of Procurement,Operations Manager,'
           || 'Chief Financial Officer,Marketing Manager,IT Manager,Managing Director,Regional Sales Manager,'
           || 'Head of People,Supply Chain Lead,Founder', ',') AS roles,
         ARRAY(SELECT id FROM app.lead_lists WHERE workspace_id = %(workspace_id)s) AS lists
), drawn AS (
  SELECT i, now() - (%(total)s - i) * interval '2 minutes' AS created_at,
         first_names[1 + floor(random() * 25)::int] AS first_name,
         last_names[1 + floor(random() * 25)::int] AS last_name,
         company_names[1 + floor(random() * 20)::int] AS company_name, trades[1 + floor(random() * 10)::int] AS trade,
         roles[1 + floor(random() * 12)::int] AS role, lists[1 + floor(random() * 6)::int] AS list_id,
         random() AS stage, random() AS kind, random() AS moment
    FROM words, generate_series(%(first)s::int, %(last)s::int) AS i
)
INSERT INTO app.leads (id, workspace_id, list_id, first_name, last_name, email, company, role, segment, status,
                       timezone, custom_fields, last_activity_at, created_at, updated_at)
SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
         PLACING substring(int8send((extract(epoch FROM created_at) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
         52, 1), 53, 1), 'hex')::uuid,
       %(workspace_id)s, list_id, first_name, last_name,
       lower(first_name || '.' || last_name || i || '@' || company_name || '.example'),
       company_name || ' ' || trade, role,
       CASE WHEN kind < 0.2 THEN 'Enterprise' WHEN kind < 0.5 THEN 'Mid-Market' WHEN kind < 0.9 THEN 'SMB' END,
       CASE WHEN stage < 0.6 THEN 'New' WHEN stage < 0.9 THEN 'Contacted' WHEN stage < 0.96 THEN 'Replied'
            WHEN stage < 0.98 THEN 'Qualified' ELSE 'Unsubscribed' END,
       CASE WHEN kind < 0.3 THEN 'Africa/Johannesburg' END,
       jsonb_build_object(
         'phone', '+27 21 ' || lpad((i %% 10000000)::text, 7, '0'), 'city', 'Cape Town', 'employees', 1 + i %% 5000,
         'website', 'https://www.' || lower(company_name) || '.example',
         'linkedIn', 'https://www.linkedin.example/in/' || lower(first_name || '-' || last_name) || '-' || i),
       CASE WHEN stage >= 0.6 THEN created_at + moment * (now() - created_at) END,
       created_at, created_at + moment * (now() - created_at)
  FROM drawn
"""
_AT_OFFSET = """
SELECT {columns} FROM app.leads
 WHERE workspace_id = %s AND deleted_at IS NULL ORDER BY {order} OFFSET %s LIMIT 2
"""
_COUNT_LISTS = """
UPDATE app.lead_lists AS lists SET lead_count = counted.leads
  FROM (SELECT list_id, count(*) AS leads FROM app.leads GROUP BY list_id) AS counted
 WHERE lists.id = counted.list_id
"""


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a sorted list: the sort values of the lead before it, and the id of the lead after it."""

    last: Sequence[Any]
    next_id: UUID


def create_leads(database: Database, account_id: UUID, leads: int, progress: Progress) -> UUID:
    """Create a workspace with `leads` leads and a smaller second one, run ANALYZE, and return the workspace id."""
    with connect(database.direct) as connection:
        workspace_id, neighbour = (_add_workspace(connection, account_id, name) for name in ("Outbound", "Neighbour"))
        for first in range(1, leads + 1, BATCH_ROWS):
            last = min(first + BATCH_ROWS - 1, leads)
            _add_leads(connection, workspace_id, first, last, leads)
            _add_leads(connection, neighbour, first // NEIGHBOUR_SHARE + 1, last // NEIGHBOUR_SHARE, leads)
            if last < leads:
                progress(f"{last:,} leads written.")
        connection.execute(_COUNT_LISTS)
        # Otherwise the server would do this during the measurement.
        connection.execute("VACUUM (ANALYZE) app.leads, app.lead_lists, app.changes")
        with suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute("CHECKPOINT")
    return workspace_id


def find_position(database: Database, workspace_id: UUID, columns: Sequence[str], offset: int) -> Position:
    """Return the position at an offset of the list in descending order of the columns."""
    identifiers = [sql.Identifier(column) for column in columns]
    query = sql.SQL(_AT_OFFSET).format(
        columns=sql.SQL(", ").join(identifiers),
        order=sql.SQL(", ").join(sql.SQL("{} DESC").format(name) for name in identifiers),
    )
    with connect(database.direct) as connection:
        last, (*_, next_id) = connection.execute(query, [workspace_id, offset]).fetchall()
    return Position(last, next_id)


def _add_workspace(connection: psycopg.Connection, account_id: UUID, name: str) -> UUID:
    row = connection.execute(_ADD_WORKSPACE, [account_id, name]).fetchone()
    assert row is not None
    workspace_id: UUID = row[0]
    connection.execute(_ADD_LISTS, [workspace_id])
    return workspace_id


def _add_leads(connection: psycopg.Connection, workspace_id: UUID, first: int, last: int, total: int) -> None:
    connection.execute(_ADD_LEADS, {"workspace_id": workspace_id, "first": first, "last": last, "total": total})
