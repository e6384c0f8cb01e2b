"""One sync and build in process, against a real sandbox: what lands, what fails, what is asked for, what is checked."""

import contextlib
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import dagster as dg
import psycopg
import pytest

from orchestration.defs.operations import checks
from orchestration.defs.operations.lookback import lately
from orchestration.defs.operations.resources import Database
from orchestration.errors import UnknownDay
from orchestration.run import sync_and_build
from orchestration.settings import OrchestrationSettings
from tests.orchestration.conftest import MORNING, SECRET_KEY
from tests.orchestration.synced import (
    APPLY,
    HAPPENED,
    MAILS,
    SENT,
    UNTIL,
    Synced,
    ask,
    environment,
    judge,
    run,
    synced,
)
from tests.sandbox import Sandbox

__all__ = ["environment", "synced"]

pytestmark = pytest.mark.filterwarnings("default")  # dbt's and Dagster's own deprecations are not ours to fail on


def test_the_run_ends_well_although_a_tenant_failed(synced: Synced, connection: psycopg.Connection) -> None:
    """A refused key fails its tenant by name, in a red check and in its cursor, and neither the run nor the other."""
    report = synced.report
    assert (report.success, report.errors) == (True, [])
    ((name, error),) = report.failed_tenants.items()
    assert name.startswith("Bad (")
    assert error.startswith("Unauthorized: ")
    assert {f"everlytic/{name}: every_tenant_synced" for name in report.rows} <= set(report.failed_checks)
    cursors = ask(connection, "SELECT * FROM everlytic.sync_cursors WHERE resource = 'transactions'")
    by_workspace = {row["workspace_id"]: row for row in cursors}
    assert (by_workspace[synced.bad]["error"], by_workspace[synced.bad]["synced_through"]) == (error, None)
    assert (by_workspace[synced.good]["error"], by_workspace[synced.good]["row_count"]) == (None, MAILS)
    # Today has not ended: it is polled as far as the business clock has come, within this test's hour.
    assert MORNING <= by_workspace[synced.good]["synced_through"] < MORNING + timedelta(hours=1)


def test_the_providers_record_lands_under_its_keys(synced: Synced, connection: psycopg.Connection) -> None:
    """Every message is there with our id and its sequence, every event once, and the sent bulk email's report."""
    landed = ask(connection, "SELECT * FROM everlytic.transactions")
    assert {row["message_id"] for row in landed} == {str(message) for message in synced.messages}
    assert {(row["workspace_id"], row["group_name"]) for row in landed} == {(synced.good, str(synced.sequence))}
    events = ask(connection, "SELECT type, message_id FROM everlytic.callback_events")
    assert sorted((row["type"], row["message_id"]) for row in events) == sorted(
        [(kind, str(message)) for message in synced.messages for kind in HAPPENED]
        + [("click", str(synced.messages[0]))]
    )
    (report,) = ask(connection, "SELECT name, reported_on, raw FROM everlytic.campaign_reports")
    assert (report["name"], report["reported_on"]) == ("News", UNTIL)
    (mart,) = ask(connection, "SELECT sent, complained FROM analytics.campaigns WHERE kind = 'bulk'")
    assert mart["sent"] == report["raw"]["figures"]["sent"] > 0
    assert synced.report.rows == {"transactions": MAILS, "callback_events": len(events), "campaign_reports": 1}


def test_an_operator_sees_what_came(synced: Synced) -> None:
    """A run's metadata holds counts, the dates, a table with the failed tenant's error, and a chart."""
    metadata = synced.metadata("transactions")
    assert (metadata["dagster/row_count"].value, metadata["new_rows"].value) == (MAILS, MAILS)
    assert str(metadata["date_range"].value).startswith(str(UNTIL))
    assert f"| Good | {MAILS} | {MAILS} | 0 | 0 |  |" in metadata["workspaces"].value
    assert "| Bad | 0 | 0 | 0 | 0 | Unauthorized: " in metadata["workspaces"].value
    assert f"{UNTIL} {'█' * 40} {MAILS}" in metadata["rows_per_day"].value


def test_the_worker_is_asked_once_per_run_and_workspace(synced: Synced, connection: psycopg.Connection) -> None:
    """After a sync the queue holds the two jobs of each connected workspace, under the run's id."""
    jobs = ask(
        connection, "SELECT workspace_id, job_type FROM app.scheduled_jobs WHERE dedupe_key = %s", synced.report.run_id
    )
    assert sorted((row["workspace_id"], row["job_type"]) for row in jobs) == sorted(
        (workspace, job_type)
        for workspace in (synced.good, synced.bad)
        for job_type in ("apply_provider_events", "sync_analytics")
    )


def test_dbt_reports_each_model_and_test_to_dagster(synced: Synced) -> None:
    """Every model of the project is materialised in the run, with its tests as checks of it."""
    keys = {key.to_user_string() for key in synced.instance.get_asset_keys()}
    assert {
        "staging/stg_everlytic__transactions",
        "intermediate/int_messages__engagement",
        "analytics/campaigns",
    } <= keys
    checks = synced.instance.event_log_storage.get_latest_asset_check_execution_by_key(
        [dg.AssetCheckKey(dg.AssetKey(["analytics", "campaigns"]), "campaigns_arithmetic")]
    )
    assert [str(record.status) for record in checks.values()] == ["AssetCheckExecutionRecordStatus.SUCCEEDED"]


def test_a_run_of_the_day_leaves_the_nightly_tests_out(synced: Synced, module_database_url: str) -> None:
    """What the schedule asks for by day skips the tests of whole sources, which a run by hand or by night has."""
    from orchestration import definitions as code  # noqa: PLC0415 - as the definitions want the environment set

    nightly, daily = "unique_stg_app__sequences_sequence_id", "campaigns_arithmetic"
    before = {key.name for key in checks_of(synced.instance, "staging/stg_app__sequences", "analytics/campaigns")}
    assert {nightly, daily} <= before
    loaded = code.build(OrchestrationSettings(), module_database_url, SECRET_KEY)
    with dg.DagsterInstance.ephemeral() as instance:
        result = loaded.resolve_job_def("build").execute_in_process(run_config=lately(), instance=instance)
        judged = {one.check_name for one in result.get_asset_check_evaluations()}
    assert daily in judged
    assert nightly not in judged


def test_marts_can_be_counted_from_the_beginning(
    synced: Synced, connection: psycopg.Connection, module_database_url: str
) -> None:
    """What an operator asks for in the Launchpad builds every message's row anew, settled ones too."""
    from orchestration import definitions as code  # noqa: PLC0415 - as above

    versions = "SELECT message_id, xmin::text FROM intermediate.int_messages__engagement ORDER BY 1"
    job = code.build(OrchestrationSettings(), module_database_url, SECRET_KEY).resolve_job_def("build")

    def built(config: dict[str, bool]) -> list[dict[str, Any]]:
        with dg.DagsterInstance.ephemeral() as instance:
            job.execute_in_process(run_config={"resources": {"lookback": {"config": config}}}, instance=instance)
        return ask(connection, versions)

    before = built({})
    with settled(connection):
        assert built({}) == before
        assert built({"full_refresh": True}) != before


@contextlib.contextmanager
def settled(connection: psycopg.Connection) -> Iterator[None]:
    """Have all that happened be known for a day already, as long as the block runs."""
    known = (("app.email_events", "synced_at"), ("app.send_attempts", "recorded_at"))
    for table, column in known:
        connection.execute(f"UPDATE {table} SET {column} = {column} - interval '1 day'".encode())
    try:
        yield
    finally:
        for table, column in known:
            connection.execute(f"UPDATE {table} SET {column} = {column} + interval '1 day'".encode())


def checks_of(instance: dg.DagsterInstance, *assets: str) -> set[dg.AssetCheckKey]:
    """Return the checks of these assets that the instance has seen evaluated."""
    names = ("unique_stg_app__sequences_sequence_id", "campaigns_arithmetic")
    keys = [dg.AssetCheckKey(dg.AssetKey(asset.split("/")), name) for asset in assets for name in names]
    return set(instance.event_log_storage.get_latest_asset_check_execution_by_key(keys))


def test_a_second_run_through_faults_lands_nothing_twice(
    synced: Synced, connection: psycopg.Connection, provider: Sandbox, module_database_url: str
) -> None:
    """Through 429, 503, 500, HTML pages and broken connections the days end with the same rows, and all sides agree."""
    # Polled and not applied, the sides differed.
    assert "analytics/campaigns: counts_agree" in synced.report.failed_checks
    before = ask(connection, "SELECT * FROM everlytic.transactions ORDER BY transaction_id")
    connection.execute(APPLY.encode())
    faults = ("rate_limited", "unavailable", "server_error", "html_error", "reset_before_accept")
    provider.tell(
        "scenarios",
        username=synced.username,
        scenarios=[{"name": name, "probability": 0.12, "routes": ["read"]} for name in faults],
    )
    again = run(module_database_url)
    assert (again.success, again.errors, again.rows) == (True, [], synced.report.rows)
    assert again.failed_tenants == synced.report.failed_tenants
    assert {name.partition(": ")[2] for name in again.failed_checks} == {"every_tenant_synced"}
    assert ask(connection, "SELECT * FROM everlytic.transactions ORDER BY transaction_id") == before
    (row,) = ask(connection, "SELECT * FROM analytics.campaigns WHERE kind = 'sequence'")
    assert (row["sent"], row["delivered"], row["human_opened"], row["clicked"]) == (MAILS, MAILS, MAILS, 1)


@pytest.mark.parametrize("days", [0, 3])
def test_the_checks_name_what_is_wrong(
    synced: Synced, connection: psycopg.Connection, module_database_url: str, days: int
) -> None:
    """A send after a suppression of the domain, an event of a mail that was never sent, and drift are each shown.

    All of that happened lately, so that a look at the last days shows it as well as one at all of history.
    """
    database = Database(url=module_database_url)
    connection.execute(APPLY.encode())
    for check in (checks.nobody_mailed_after_suppression, checks.no_event_without_message):
        assert judge(check, database, days).passed
    suppressed, lost = synced.messages[0], synced.messages[1]
    with broken(connection, synced.good, lost):
        mailed = judge(checks.nobody_mailed_after_suppression, database, days)
        orphaned = judge(checks.no_event_without_message, database, days)
        drifted = judge(checks.counts_agree, database, days)
    assert (mailed.passed, mailed.metadata["found"].value) == (False, MAILS - 1)
    assert str(suppressed) in str(mailed.metadata["rows"].value)
    assert (orphaned.passed, orphaned.metadata["found"].value) == (False, len(HAPPENED))
    looked_at = {str(check.metadata["looked_at"].value) for check in (mailed, orphaned, drifted)}
    assert looked_at == {"what arrived in the last 3 days" if days else "all of history"}
    provider = MAILS - 1 if days else MAILS  # lately is what we know to be accepted
    drift = f"| {synced.good} | {synced.sequence} | sent | {provider} | {MAILS - 1} | {MAILS} |"
    assert drift in str(drifted.metadata["drift"].value)


def test_a_look_at_the_last_days_leaves_out_what_is_older(
    synced: Synced, connection: psycopg.Connection, module_database_url: str
) -> None:
    """An event of nobody's message that was heard of before the last days is found by the whole look alone."""
    database = Database(url=module_database_url)
    connection.execute(
        """
        INSERT INTO everlytic.callback_events (workspace_id, event_key, type, message_id, occurred_at, raw, synced_at)
        VALUES (%s, 'old', 'open', 'nobody', %s, '{}', now() - interval '9 days')
        """,
        [synced.good, SENT],
    )
    found = [judge(checks.no_event_without_message, database, days).metadata["found"].value for days in (3, 0)]
    connection.execute("DELETE FROM everlytic.callback_events WHERE event_key = 'old'")
    assert found == [0, 1]


SUPPRESS = """
    INSERT INTO app.suppressions
        (workspace_id, kind, value_hash, reason, source, suppressed_at, created_at)
    SELECT %(workspace)s, 'domain', app.suppression_hash(%(workspace)s, '@example.test'), 'domain', 'test',
           %(sent)s - interval '1 second', now() - %(known_since)s * interval '1 hour'
"""
REMOVE = """
    INSERT INTO app.suppression_removals
        (workspace_id, kind, value_hash, reason, source, suppressed_at, removed_because, removed_by, removed_at)
    SELECT %(workspace)s, 'domain', app.suppression_hash(%(workspace)s, '@example.test'), 'domain', 'test',
           %(sent)s - interval '1 day', 'a mistake', gen_random_uuid(), %(sent)s + %(after)s * interval '1 hour'
"""


def test_a_suppression_binds_from_when_it_is_known_until_it_is_removed(
    synced: Synced, connection: psycopg.Connection, module_database_url: str
) -> None:
    """A list brought in later accuses nobody; a suppression that was removed after the mail does, and before does not.

    An erased lead has no address to look for: a mail that was claimed after the erasure is shown all the same.
    """
    database, workspace = Database(url=module_database_url), {"workspace": synced.good, "sent": SENT}

    def found() -> int:
        return int(str(judge(checks.nobody_mailed_after_suppression, database).metadata["found"].value))

    for statement, more, expected in (
        (SUPPRESS, {"known_since": -1}, 0),
        (SUPPRESS, {"known_since": 1}, MAILS),
        (REMOVE, {"after": -1}, 0),
        (REMOVE, {"after": 1}, MAILS),
    ):
        connection.execute(statement.encode(), {**workspace, **more})
        assert found() == expected
        connection.execute("DELETE FROM app.suppressions")
        connection.execute("DELETE FROM app.suppression_removals")
    lead = "(SELECT lead_id FROM app.email_drafts WHERE id = %s)"
    for hours, expected in ((1, 0), (-1, 1)):
        moment = SENT + timedelta(hours=hours)
        connection.execute(
            f"UPDATE app.leads SET erased_at = %s WHERE id = {lead}".encode(), [moment, synced.messages[0]]
        )
        assert found() == expected
    connection.execute("UPDATE app.leads SET erased_at = NULL")


@contextlib.contextmanager
def broken(connection: psycopg.Connection, workspace: UUID, lost: UUID) -> Iterator[None]:
    """Suppress everybody's domain from before the mails went out, and forget that one of them was sent."""
    connection.execute(SUPPRESS.encode(), {"workspace": workspace, "sent": SENT, "known_since": 1})
    connection.execute("UPDATE app.send_attempts SET outcome = 'rejected' WHERE draft_id = %s", [lost])
    yield
    connection.execute("UPDATE app.send_attempts SET outcome = 'accepted' WHERE draft_id = %s", [lost])
    connection.execute("DELETE FROM app.suppressions")


def test_sources_are_judged_fresh_where_something_came(synced: Synced) -> None:
    """Each source that dbt limits has a check of its own: polled just now is fresh, and nothing yet is said so."""
    keys = {
        name: dg.AssetCheckKey(dg.AssetKey(name.split("/")), "source_freshness")
        for name in (
            "everlytic/transactions",
            "everlytic/callback_events",
            "everlytic/campaign_reports",
            "app/email_events",
        )
    }
    found = synced.instance.event_log_storage.get_latest_asset_check_execution_by_key(list(keys.values()))
    judged = {}
    for name, key in keys.items():
        event = found[key].event
        assert event is not None
        assert event.dagster_event is not None
        judged[name] = event.dagster_event.asset_check_evaluation_data
    assert {name for name, one in judged.items() if one.passed} == set(keys)
    assert judged["app/email_events"].metadata["answer"].value == "Nothing has come yet, so nothing is old."
    assert judged["everlytic/transactions"].metadata["age_hours"].value == pytest.approx(0, abs=1)


def test_a_day_that_dagster_does_not_know_is_named(module_database_url: str, environment: None) -> None:
    """Days before the first one and in the future are refused with a sentence, before anything runs."""
    for since, until, unknown in (
        (date(1999, 1, 1), None, "1999-01-01"),
        (date(2023, 12, 31), date(2024, 1, 1), "2023-12-31"),
        (date(2024, 1, 1), date(2999, 1, 1), "2999-01-01"),
    ):
        with pytest.raises(UnknownDay, match=f"{unknown} is no business day"):
            sync_and_build(database_url=module_database_url, secret_key=SECRET_KEY, since=since, until=until)
