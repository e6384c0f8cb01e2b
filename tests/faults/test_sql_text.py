"""The faults that are planted in a text of SQL."""

import re

import psycopg
import pytest

from faults.sql_text import find_sql_edits

WHERE, ON, HAVING = "WHERE term dropped", "ON term dropped", "HAVING term dropped"
ROW_LOCK, SKIP_LOCKED, ADVISORY_LOCK = "row lock dropped", "SKIP LOCKED dropped", "advisory lock dropped"
SWAPPED, TIE = "comparison swapped", "tie-break dropped"

TERMS: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    "one term": (
        "SELECT id FROM leads WHERE deleted_at IS NULL",
        [(WHERE, "deleted_at IS NULL", "true")],
    ),
    "two terms on two lines": (
        "UPDATE leads\nSET status = 'New'\nWHERE id = 1\n  AND status = 'Replied'\nRETURNING id",
        [(WHERE, "id = 1", "true"), (WHERE, "status = 'Replied'", "true")],
    ),
    "the end of a function": ("DO $body$ BEGIN UPDATE t SET a = 1 WHERE b = 2\n$body$", [(WHERE, "b = 2", "true")]),
    "no condition": ("SELECT id, name FROM leads LIMIT 3", []),
    "a condition that is true already": ("SELECT a FROM t JOIN LATERAL (SELECT 1) AS b ON true", []),
    "lower case": ("select a from t where b = 1 and c = 2", [(WHERE, "b = 1", "true"), (WHERE, "c = 2", "true")]),
    "alternatives": (
        "SELECT a FROM t WHERE b = 1 OR c = 2",
        [(WHERE, "b = 1 OR c = 2", "true"), (WHERE, "b = 1", "false"), (WHERE, "c = 2", "false")],
    ),
    "OR binds weaker than AND": (
        "SELECT a FROM t WHERE b = 1 AND c = 2 OR d = 3",
        [
            (WHERE, "b = 1 AND c = 2 OR d = 3", "true"),
            (WHERE, "b = 1 AND c = 2", "false"),
            (WHERE, "b = 1", "true"),
            (WHERE, "c = 2", "true"),
            (WHERE, "d = 3", "false"),
        ],
    ),
    "OR in brackets": (
        "SELECT a FROM t WHERE b = 1 AND (c = 2 OR d IS NULL)",
        [
            (WHERE, "b = 1", "true"),
            (WHERE, "(c = 2 OR d IS NULL)", "true"),
            (WHERE, "c = 2", "false"),
            (WHERE, "d IS NULL", "false"),
        ],
    ),
    "brackets around everything": (
        "SELECT a FROM t WHERE (b = 1 AND c = 2)",
        [(WHERE, "b = 1", "true"), (WHERE, "c = 2", "true")],
    ),
    "AND in brackets of an OR": (
        "SELECT a FROM t WHERE b = 1 AND (c = 2 OR (d = 3 AND e))",
        [
            (WHERE, "b = 1", "true"),
            (WHERE, "(c = 2 OR (d = 3 AND e))", "true"),
            (WHERE, "c = 2", "false"),
            (WHERE, "(d = 3 AND e)", "false"),
            (WHERE, "d = 3", "true"),
            (WHERE, "e", "true"),
        ],
    ),
    "a query in brackets": (
        "SELECT a FROM t WHERE (SELECT every(b) FROM u WHERE c = 1 OR d) AND e",
        [
            (WHERE, "(SELECT every(b) FROM u WHERE c = 1 OR d)", "true"),
            (WHERE, "c = 1 OR d", "true"),
            (WHERE, "c = 1", "false"),
            (WHERE, "d", "false"),
            (WHERE, "e", "true"),
        ],
    ),
    "negated brackets": (
        "SELECT a FROM t WHERE NOT (b = 1 AND c = 2)",
        [(WHERE, "NOT (b = 1 AND c = 2)", "true"), (WHERE, "b = 1", "true"), (WHERE, "c = 2", "true")],
    ),
    "brackets around a single term": ("SELECT a FROM t WHERE (b = 1)", [(WHERE, "(b = 1)", "true")]),
    "BETWEEN": (
        "SELECT a FROM t WHERE b BETWEEN 1 AND 2 AND c NOT BETWEEN SYMMETRIC 3 AND 4 AND d",
        [
            (WHERE, "b BETWEEN 1 AND 2", "true"),
            (WHERE, "c NOT BETWEEN SYMMETRIC 3 AND 4", "true"),
            (WHERE, "d", "true"),
        ],
    ),
    "CASE": (
        "SELECT a FROM t WHERE CASE WHEN b = 1 AND c = 2 THEN d = 3 ELSE e OR f END AND g = 4",
        [
            (WHERE, "CASE WHEN b = 1 AND c = 2 THEN d = 3 ELSE e OR f END", "true"),
            (WHERE, "g = 4", "true"),
        ],
    ),
    "a nested query": (
        (
            "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id AND u.done) AND t.b IN (SELECT c FROM v) "
            "ORDER BY a"
        ),
        [
            (WHERE, "EXISTS (SELECT 1 FROM u WHERE u.id = t.id AND u.done)", "true"),
            (WHERE, "u.id = t.id", "true"),
            (WHERE, "u.done", "true"),
            (WHERE, "t.b IN (SELECT c FROM v)", "true"),
        ],
    ),
    "common table expressions": (
        (
            "WITH due AS (\n  SELECT id FROM jobs WHERE queued\n), old AS (SELECT id FROM jobs WHERE ended)\n"
            "DELETE FROM jobs USING due WHERE jobs.id = due.id RETURNING jobs.id"
        ),
        [(WHERE, "queued", "true"), (WHERE, "ended", "true"), (WHERE, "jobs.id = due.id", "true")],
    ),
    "joins": (
        "SELECT a FROM t JOIN u ON u.id = t.id AND u.live LEFT JOIN v ON v.id = u.id CROSS JOIN w WHERE t.b = 1",
        [
            (ON, "u.id = t.id", "true"),
            (ON, "u.live", "true"),
            (ON, "v.id = u.id", "true"),
            (WHERE, "t.b = 1", "true"),
        ],
    ),
    "functions named like joins": (
        "SELECT a FROM t JOIN u ON left(u.b, 2) = t.b AND right(u.b, 2) = t.c WHERE t.d = 1",
        [
            (ON, "left(u.b, 2) = t.b", "true"),
            (ON, "right(u.b, 2) = t.c", "true"),
            (WHERE, "t.d = 1", "true"),
        ],
    ),
    "DISTINCT ON": ("SELECT DISTINCT ON (b) a, b FROM t WHERE c = 1", [(WHERE, "c = 1", "true")]),
    "IS DISTINCT FROM": (
        "SELECT a FROM t WHERE b IS DISTINCT FROM c AND d = 1",
        [(WHERE, "b IS DISTINCT FROM c", "true"), (WHERE, "d = 1", "true")],
    ),
    "ON CONFLICT": (
        "INSERT INTO t (a, b) SELECT a, b FROM u WHERE u.live ON CONFLICT (a) DO UPDATE SET b = 1 WHERE t.b = 2",
        [(WHERE, "u.live", "true"), (WHERE, "t.b = 2", "true")],
    ),
    "FILTER": (
        "SELECT count(*) FILTER (WHERE b = 1 AND c = 2), sum(d) FROM t WHERE e",
        [(WHERE, "b = 1", "true"), (WHERE, "c = 2", "true"), (WHERE, "e", "true")],
    ),
    "HAVING": (
        "SELECT a FROM t WHERE b GROUP BY a HAVING count(*) = 1 AND min(c) = 2 ORDER BY a",
        [(WHERE, "b", "true"), (HAVING, "count(*) = 1", "true"), (HAVING, "min(c) = 2", "true")],
    ),
    "UNION": (
        "SELECT a FROM t WHERE b UNION ALL SELECT a FROM u WHERE c",
        [(WHERE, "b", "true"), (WHERE, "c", "true")],
    ),
    "placeholders of SQLAlchemy": (
        "SELECT a FROM t WHERE b = :b AND c = CAST(:c AS text) AND d = 'x'::text",
        [(WHERE, "b = :b", "true"), (WHERE, "c = CAST(:c AS text)", "true"), (WHERE, "d = 'x'::text", "true")],
    ),
    "placeholders of psycopg": (
        "SELECT a FROM t WHERE b = %s AND c = ANY(%(ids)s) LIMIT %s",
        [(WHERE, "b = %s", "true"), (WHERE, "c = ANY(%(ids)s)", "true")],
    ),
    "placeholders of Python": (
        "SELECT a FROM {table} WHERE b = {b} AND {condition} AND c = {names['c']}",
        [(WHERE, "b = {b}", "true"), (WHERE, "{condition}", "true"), (WHERE, "c = {names['c']}", "true")],
    ),
    "values of Jinja": (
        "SELECT a FROM {{ ref('t') }} WHERE b = {{ var('b') }} AND c = '{{ c }}'",
        [(WHERE, "b = {{ var('b') }}", "true"), (WHERE, "c = '{{ c }}'", "true")],
    ),
    "statements of Jinja": (
        "SELECT a FROM t WHERE b = 1 {% if x and y > 3 %} AND c = 2 {% endif %}",
        [(WHERE, "b = 1", "true"), (WHERE, "c = 2", "true")],
    ),
    "a condition within a statement of Jinja": (
        "SELECT a FROM t {% if is_incremental() %} WHERE b = 1 {% endif %} GROUP BY a",
        [(WHERE, "b = 1", "true")],
    ),
    "comments": (
        "SELECT a -- WHERE x = 1\nFROM t /* WHERE y = 2 AND z < 3 */ WHERE b = 1 -- it's AND c < 2\n  AND d = 4",
        [(WHERE, "b = 1", "true"), (WHERE, "d = 4", "true")],
    ),
    "quoted names": (
        'SELECT a FROM "where" WHERE "and" = 1 AND "or < and" = 2',
        [(WHERE, '"and" = 1', "true"), (WHERE, '"or < and" = 2', "true")],
    ),
    "literals that contain keywords": (
        "SELECT ' WHERE x < 1 ' FROM t WHERE b = 'c AND d' AND e = 'it''s OR f FOR UPDATE'",
        [(WHERE, "b = 'c AND d'", "true"), (WHERE, "e = 'it''s OR f FOR UPDATE'", "true")],
    ),
    "definitions": (
        (
            "CREATE TABLE t (a int REFERENCES u (a) ON DELETE CASCADE ON UPDATE CASCADE); CREATE INDEX i ON t (a); "
            "GRANT SELECT ON t TO reader"
        ),
        [],
    ),
}

OTHERS: dict[str, tuple[str, list[tuple[str, str, str]]]] = {
    "comparisons": (
        "SELECT a < b, c <= d, e > f, g >= h FROM t",
        [(SWAPPED, "<", "<="), (SWAPPED, "<=", "<"), (SWAPPED, ">", ">="), (SWAPPED, ">=", ">")],
    ),
    "operators that contain a comparison": (
        "SELECT a <> b, c ->> 'd', e -> 'f', g @> h, h <@ g, p <-> q, x << 1, y >> 2, z && w, f(n => 1) FROM t",
        [],
    ),
    "a comparison of rows": (
        "SELECT a FROM t WHERE (b, c) > (:b, :c)",
        [(WHERE, "(b, c) > (:b, :c)", "true"), (SWAPPED, ">", ">=")],
    ),
    "a row lock": ("SELECT a FROM t WHERE b FOR UPDATE", [(WHERE, "b", "true"), (ROW_LOCK, "FOR UPDATE", "")]),
    "each strength of row lock": (
        (
            "WITH s AS (SELECT a FROM t FOR SHARE), k AS (SELECT a FROM t FOR KEY SHARE), "
            "n AS (SELECT a FROM t FOR NO KEY UPDATE NOWAIT) SELECT a FROM s, k, n"
        ),
        [
            (ROW_LOCK, "FOR SHARE", ""),
            (ROW_LOCK, "FOR KEY SHARE", ""),
            (ROW_LOCK, "FOR NO KEY UPDATE NOWAIT", ""),
        ],
    ),
    "SKIP LOCKED": (
        "SELECT a FROM t JOIN u ON u.id = t.id ORDER BY a LIMIT 1 FOR UPDATE OF t, u SKIP LOCKED",
        [
            (ON, "u.id = t.id", "true"),
            (ROW_LOCK, "FOR UPDATE OF t, u SKIP LOCKED", ""),
            (SKIP_LOCKED, "SKIP LOCKED", ""),
        ],
    ),
    "FOR that locks nothing": ("SELECT substring(a FROM 1 FOR 2) FROM t", []),
    "a tie-break": ("SELECT a FROM t ORDER BY a, id LIMIT 1", [(TIE, ", id", "")]),
    "a tie-break with directions": (
        "SELECT a FROM t ORDER BY a DESC NULLS LAST, b ASC, id DESC NULLS FIRST OFFSET 2",
        [(TIE, ", id DESC NULLS FIRST", "")],
    ),
    "an order without a tie-break": ("SELECT a FROM t ORDER BY coalesce(a, b) DESC", []),
    "a tie-break before a lock": (
        "SELECT a FROM t ORDER BY a, id FOR UPDATE",
        [(TIE, ", id", ""), (ROW_LOCK, "FOR UPDATE", "")],
    ),
    "a tie-break before ON CONFLICT": (
        "INSERT INTO t (a) SELECT a FROM u ORDER BY a, id ON CONFLICT DO NOTHING",
        [(TIE, ", id", "")],
    ),
    "a tie-break of a window": (
        "SELECT row_number() OVER (PARTITION BY a, b ORDER BY c, id), array_agg(d ORDER BY e, id) FROM t",
        [(TIE, ", id", ""), (TIE, ", id", "")],
    ),
    "a tie-break before a frame": (
        "SELECT sum(a) OVER (ORDER BY b, id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
        [(TIE, ", id", "")],
    ),
    "an advisory lock": (
        "SELECT pg_advisory_xact_lock(7)",
        [(ADVISORY_LOCK, "pg_advisory_xact_lock", "abs")],
    ),
}


def edits_of(text: str) -> list[tuple[str, str, str]]:
    """Return the kind, the text that is replaced and the replacement of each edit."""
    return sorted((edit.kind, text[edit.start : edit.end], edit.replacement) for edit in find_sql_edits(text))


@pytest.mark.parametrize("name", TERMS)
def test_each_term_of_a_condition_is_dropped(name: str) -> None:
    """Exactly the terms of WHERE, ON and HAVING are replaced, by what leaves the rest of the condition as it is."""
    text, edits = TERMS[name]
    assert edits_of(text) == sorted(edits)


@pytest.mark.parametrize("name", OTHERS)
def test_locks_ties_and_comparisons_are_edited(name: str) -> None:
    """Exactly the row locks, advisory locks, tie-breaks and comparisons of a statement are edited."""
    text, edits = OTHERS[name]
    assert edits_of(text) == sorted(edits)


def test_each_edit_leaves_what_postgres_parses(postgres_url: str) -> None:
    """Postgres finds no syntax error in a statement with any of the edits; the tables need not exist."""
    statements = [text for text, _ in [*TERMS.values(), *OTHERS.values()] if not re.search(r"\{[{%]|GRANT|\$", text)]
    refused = []
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for text in statements:
            for statement in (text, *(edit.apply(text) for edit in find_sql_edits(text))):
                filled = re.sub(r"(?<!:):\w+|%s|%\(\w+\)s|\{[^}]*\}", "t", statement)
                try:
                    connection.execute(f"EXPLAIN {filled}".encode())
                except psycopg.errors.SyntaxError as error:
                    refused.append((filled, str(error)))
                except psycopg.Error:
                    pass
    assert refused == []
