"""Tests of one sync and build in process against a real sandbox: landed rows, failures, queued jobs and checks."""

import contextlib
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import dagster as dg
import psycopg
import pytest

from orchestration.defs.operations import checks
from orchestration.defs.operations.lookback import build_intraday_config
from orchestration.defs.operations.resources import Database
from orchestration.errors import UnknownDay
from orchestration.run import sync_and_build
from orchestration.settings import OrchestrationSettings
from tests.orchestration.conftest import MORNING, SECRET_KEY
from tests.orchestration.sync_run import (
    APPLY,
    EVENT_TYPES,
    MAILS,
    SENT,
    UNTIL,
    SyncRun,
    environment,
    evaluate,
    fetch,
    run,
    sync_run,
)
from tests.sandbox import Sandbox

__all__ = ["environment", "sync_run"]

pytestmark = pytest.mark.filterwarnings("default")  # dbt's and Dagster's own deprecations are not ours to fail on


def test_a_failed_tenant_does_not_fail_the_run(sync_run: SyncRun, connection: psycopg.Connection) -> None:
    """A refused API key fails a check and the cursor of its tenant, but not the run and not the other tenant."""
    report = sync_run.report
    assert (report.success, report.errors) == (True, [])
    ((name, error),) = report.failed_tenants.items()
    assert name.startswith("Bad (")
    assert error.startswith("Everlytic refused the credentials (401)")
    assert {f"everlytic/{name}: every_tenant_synced" for name in report.rows} <= set(report.failed_checks)
    cursors = fetch(connection, "SELECT * FROM everlytic.sync_cursors WHERE resource = 'transactions'")
    by_workspace = {row["workspace_id"]: row for row in cursors}
    assert (by_workspace[sync_run.bad]["error"], by_workspace[sync_run.bad]["synced_through"]) == (error, None)
    assert (by_workspace[sync_run.good]["error"], by_workspace[sync_run.good]["row_count"]) == (None, MAILS)
    # Today has not ended: it is polled up to the business time of the run, which is within the hour of this test.
    assert MORNING <= by_workspace[sync_run.good]["synced_through"] < MORNING + timedelta(hours=1)


def test_the_providers_records_land_under_their_keys(sync_run: SyncRun, connection: psycopg.Connection) -> None:
    """Every message lands with our id and its sequence, every event once, and the report of the sent bulk email."""
    landed = fetch(connection, "SELECT * FROM everlytic.transactions")
    assert {row["message_id"] for row in landed} == {str(message) for message in sync_run.messages}
    assert {(row["workspace_id"], row["group_name"]) for row in landed} == {(sync_run.good, str(sync_run.sequence))}
    events = fetch(connection, "SELECT type, message_id FROM everlytic.callback_events")
    assert sorted((row["type"], row["message_id"]) for row in events) == sorted(
        [(kind, str(message)) for message in sync_run.messages for kind in EVENT_TYPES]
        + [("click", str(sync_run.messages[0]))]
    )
    (report,) = fetch(connection, "SELECT name, reported_on, raw FROM everlytic.campaign_reports")
    assert (report["name"], report["reported_on"]) == ("News", UNTIL)
    (mart,) = fetch(connection, "SELECT sent, complained FROM analytics.campaigns WHERE kind = 'bulk'")
    assert mart["sent"] == report["raw"]["figures"]["sent"] > 0
    assert sync_run.report.rows == {"transactions": MAILS, "callback_events": len(events), "campaign_reports": 1}


def test_the_metadata_describes_the_sync(sync_run: SyncRun) -> None:
    """The metadata contains counts, the dates, a table with the failed tenant's error, and a chart."""
    metadata = sync_run.metadata("transactions")
    assert (metadata["dagster/row_count"].value, metadata["new_rows"].value) == (MAILS, MAILS)
    assert str(metadata["date_range"].value).startswith(str(UNTIL))
    assert f"| Good | {MAILS} | {MAILS} | 0 | 0 |  |" in metadata["workspaces"].value
    assert "| Bad | 0 | 0 | 0 | 0 | Everlytic refused the credentials (401)" in metadata["workspaces"].value
    assert f"{UNTIL} {'█' * 40} {MAILS}" in metadata["rows_per_day"].value


def test_jobs_are_queued_once_per_run_and_workspace(sync_run: SyncRun, connection: psycopg.Connection) -> None:
    """After a sync the queue contains two jobs per connected workspace, with the run's id as the dedupe key."""
    jobs = fetch(
        connection,
        "SELECT workspace_id, job_type FROM app.scheduled_jobs WHERE dedupe_key = %s",
        sync_run.report.run_id,
    )
    assert sorted((row["workspace_id"], row["job_type"]) for row in jobs) == sorted(
        (workspace, job_type)
        for workspace in (sync_run.good, sync_run.bad)
        for job_type in ("apply_provider_events", "sync_analytics")
    )


def test_dbt_reports_each_model_and_test_to_dagster(sync_run: SyncRun) -> None:
    """Every model of the project is materialised in the run, with its tests as checks of it."""
    keys = {key.to_user_string() for key in sync_run.instance.get_asset_keys()}
    assert {
        "staging/stg_everlytic__transactions",
        "intermediate/int_messages__engagement",
        "analytics/campaigns",
    } <= keys
    checks = sync_run.instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(dg.AssetKey(["analytics", "campaigns"]), "campaigns_arithmetic")]
    )
    assert [str(record.status) for record in checks.values()] == ["AssetCheckExecutionRecordStatus.SUCCEEDED"]


def test_an_intraday_run_skips_the_nightly_tests(sync_run: SyncRun, module_database_url: str) -> None:
    """The intraday run configuration skips the tests of whole sources; a manual or nightly run includes them."""
    from orchestration import definitions  # noqa: PLC0415 - the definitions need the environment to be set

    nightly, daily = "unique_stg_app__sequences_sequence_id", "campaigns_arithmetic"
    keys = evaluated_checks(sync_run.instance, "staging/stg_app__sequences", "analytics/campaigns")
    assert {nightly, daily} <= {key.name for key in keys}
    loaded = definitions.build_definitions(OrchestrationSettings(), module_database_url, SECRET_KEY)
    with dg.DagsterInstance.ephemeral() as instance:
        result = loaded.resolve_job_def("build").execute_in_process(
            run_config=build_intraday_config(), instance=instance
        )
        check_names = {check.check_name for check in result.get_asset_check_evaluations()}
    assert daily in check_names
    assert nightly not in check_names


def test_a_full_refresh_makes_the_table_anew(
    sync_run: SyncRun, connection: psycopg.Connection, module_database_url: str
) -> None:
    """With full_refresh in the Launchpad's configuration the table is made anew; without it, it stays."""
    from orchestration import definitions  # noqa: PLC0415 - as above

    table = "SELECT 'intermediate.int_messages__engagement'::regclass::oid"
    loaded = definitions.build_definitions(OrchestrationSettings(), module_database_url, SECRET_KEY)
    job = loaded.resolve_job_def("build")

    def build(config: dict[str, bool]) -> list[dict[str, Any]]:
        with dg.DagsterInstance.ephemeral() as instance:
            job.execute_in_process(run_config={"resources": {"lookback": {"config": config}}}, instance=instance)
        return fetch(connection, table)

    before = build({})
    assert build({}) == before
    assert build({"full_refresh": True}) != before


def evaluated_checks(instance: dg.DagsterInstance, *assets: str) -> set[dg.AssetCheckKey]:
    """Return the checks of these assets that the instance has evaluated."""
    names = ("unique_stg_app__sequences_sequence_id", "campaigns_arithmetic")
    keys = [dg.AssetCheckKey(dg.AssetKey(asset.split("/")), name) for asset in assets for name in names]
    return set(instance.event_log_storage.get_latest_asset_check_execution_by_key(keys))


def test_a_second_run_with_faults_lands_no_row_twice(
    sync_run: SyncRun, connection: psycopg.Connection, provider: Sandbox, module_database_url: str
) -> None:
    """With 429, 503, 500, HTML pages and broken connections the same rows land, and all counts agree."""
    # After the first run the events were polled but not applied, so the counts differed.
    assert "analytics/campaigns: counts_agree" in sync_run.report.failed_checks
    before = fetch(connection, "SELECT * FROM everlytic.transactions ORDER BY transaction_id")
    connection.execute(APPLY.encode())
    faults = ("rate_limited", "unavailable", "server_error", "html_error", "reset_before_accept")
    provider.tell(
        "scenarios",
        username=sync_run.username,
        scenarios=[{"name": name, "probability": 0.12, "routes": ["read"]} for name in faults],
    )
    again = run(module_database_url)
    assert (again.success, again.errors, again.rows) == (True, [], sync_run.report.rows)
    assert again.failed_tenants == sync_run.report.failed_tenants
    assert {name.partition(": ")[2] for name in again.failed_checks} == {"every_tenant_synced"}
    assert fetch(connection, "SELECT * FROM everlytic.transactions ORDER BY transaction_id") == before
    (row,) = fetch(connection, "SELECT * FROM analytics.campaigns WHERE kind = 'sequence'")
    assert (row["sent"], row["delivered"], row["human_opened"], row["clicked"]) == (MAILS, MAILS, MAILS, 1)


@pytest.mark.parametrize("days", [0, 3])
def test_the_cross_checks_list_violations(
    sync_run: SyncRun, connection: psycopg.Connection, module_database_url: str, days: int
) -> None:
    """A send after a suppression of the domain, an event of a mail that was never sent, and drift are listed.

    All rows are recent, so a lookback of three days finds the same violations as a check of all rows.
    """
    database = Database(url=module_database_url)
    connection.execute(APPLY.encode())
    for check in (checks.no_send_after_suppression, checks.no_event_without_message):
        assert evaluate(check, database, days).passed
    suppressed, rejected = sync_run.messages[0], sync_run.messages[1]
    with violations(connection, sync_run.good, rejected):
        sends = evaluate(checks.no_send_after_suppression, database, days)
        orphans = evaluate(checks.no_event_without_message, database, days)
        counts = evaluate(checks.counts_agree, database, days)
    assert (sends.passed, sends.metadata["violations"].value) == (False, MAILS - 1)
    assert str(suppressed) in str(sends.metadata["rows"].value)
    assert (orphans.passed, orphans.metadata["violations"].value) == (False, len(EVENT_TYPES))
    checked_rows = {str(check.metadata["checked_rows"].value) for check in (sends, orphans, counts)}
    assert checked_rows == {"rows of the last 3 days" if days else "all rows"}
    provider = MAILS - 1 if days else MAILS  # with a lookback only messages that we recorded as accepted are compared
    drift = f"| {sync_run.good} | {sync_run.sequence} | sent | {provider} | {MAILS - 1} | {MAILS} |"
    assert drift in str(counts.metadata["drift"].value)


def test_a_lookback_leaves_out_older_rows(
    sync_run: SyncRun, connection: psycopg.Connection, module_database_url: str
) -> None:
    """An event without a message that was polled nine days ago is found by a check of all rows only."""
    database = Database(url=module_database_url)
    connection.execute(
        """
        INSERT INTO everlytic.callback_events (workspace_id, event_key, type, message_id, occurred_at, raw, synced_at)
        VALUES (%s, 'old', 'open', 'no draft', %s, '{}', now() - interval '9 days')
        """,
        [sync_run.good, SENT],
    )
    results = [evaluate(checks.no_event_without_message, database, days) for days in (3, 0)]
    connection.execute("DELETE FROM everlytic.callback_events WHERE event_key = 'old'")
    assert [result.metadata["violations"].value for result in results] == [0, 1]


SUPPRESS = """
    INSERT INTO app.suppressions
        (account_id, workspace_id, kind, value_hash, reason, source, suppressed_at, created_at)
    SELECT account_id, id, 'domain', app.suppression_hash(account_id, '@example.test'), 'domain', 'test',
           %(sent)s - interval '1 second', now() - %(hours_ago)s * interval '1 hour'
      FROM app.workspaces WHERE id = %(workspace)s
"""
REMOVE = """
    INSERT INTO app.suppression_removals
        (account_id, workspace_id, kind, value_hash, reason, source, suppressed_at, removed_because, removed_by,
         removed_at)
    SELECT account_id, id, 'domain', app.suppression_hash(account_id, '@example.test'), 'domain', 'test',
           %(sent)s - interval '1 day', 'a mistake', gen_random_uuid(), %(sent)s + %(after)s * interval '1 hour'
      FROM app.workspaces WHERE id = %(workspace)s
"""


def test_a_suppression_applies_from_its_creation_to_its_removal(
    sync_run: SyncRun, connection: psycopg.Connection, module_database_url: str
) -> None:
    """A suppression imported after the mail is no violation; one removed after the mail is, one removed before is not.

    An erased lead has no address, but a mail that was claimed after the erasure is still found.
    """
    database, workspace = Database(url=module_database_url), {"workspace": sync_run.good, "sent": SENT}

    def count() -> int:
        return int(str(evaluate(checks.no_send_after_suppression, database).metadata["violations"].value))

    for statement, values, expected in (
        (SUPPRESS, {"hours_ago": -1}, 0),
        (SUPPRESS, {"hours_ago": 1}, MAILS),
        (REMOVE, {"after": -1}, 0),
        (REMOVE, {"after": 1}, MAILS),
    ):
        connection.execute(statement.encode(), {**workspace, **values})
        assert count() == expected
        connection.execute("DELETE FROM app.suppressions")
        connection.execute("DELETE FROM app.suppression_removals")
    lead = "(SELECT lead_id FROM app.email_drafts WHERE id = %s)"
    for hours, expected in ((1, 0), (-1, 1)):
        erased_at = SENT + timedelta(hours=hours)
        connection.execute(
            f"UPDATE app.leads SET erased_at = %s WHERE id = {lead}".encode(), [erased_at, sync_run.messages[0]]
        )
        assert count() == expected
    connection.execute("UPDATE app.leads SET erased_at = NULL")


@contextlib.contextmanager
def violations(connection: psycopg.Connection, workspace: UUID, message: UUID) -> Iterator[None]:
    """Suppress the leads' domain from before the mails were sent, and record one message as rejected."""
    connection.execute(SUPPRESS.encode(), {"workspace": workspace, "sent": SENT, "hours_ago": 1})
    connection.execute("UPDATE app.send_attempts SET outcome = 'rejected' WHERE draft_id = %s", [message])
    yield
    connection.execute("UPDATE app.send_attempts SET outcome = 'accepted' WHERE draft_id = %s", [message])
    connection.execute("DELETE FROM app.suppressions")


def test_each_source_with_a_limit_has_a_freshness_check(sync_run: SyncRun) -> None:
    """A source that was just polled is fresh, and a source without rows passes with a message."""
    keys = {
        name: dg.AssetCheckKey(dg.AssetKey(name.split("/")), "source_freshness")
        for name in (
            "everlytic/transactions",
            "everlytic/callback_events",
            "everlytic/campaign_reports",
            "app/email_events",
        )
    }
    records = sync_run.instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys.values()))
    evaluations = {}
    for name, key in keys.items():
        event = records[key].event
        assert event is not None
        assert event.dagster_event is not None
        evaluations[name] = event.dagster_event.asset_check_evaluation_data
    assert {name for name, evaluation in evaluations.items() if evaluation.passed} == set(keys)
    assert evaluations["app/email_events"].metadata["message"].value == "The source has no rows yet."
    assert evaluations["everlytic/transactions"].metadata["age_hours"].value == pytest.approx(0, abs=1)


def test_a_day_without_a_partition_is_refused(module_database_url: str, environment: None) -> None:
    """Days before the first partition and in the future are refused with an error before anything runs."""
    for since, until, unknown in (
        (date(1999, 1, 1), None, "1999-01-01"),
        (date(2023, 12, 31), date(2024, 1, 1), "2023-12-31"),
        (date(2024, 1, 1), date(2999, 1, 1), "2999-01-01"),
    ):
        with pytest.raises(UnknownDay, match=f"{unknown} cannot be polled"):
            sync_and_build(database_url=module_database_url, secret_key=SECRET_KEY, since=since, until=until)
