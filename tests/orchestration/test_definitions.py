"""Tests of the definitions that Dagster loads: the asset graph, its groups and the schedules."""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from domain.clock import Clock
from orchestration.defs.everlytic.partitions import build_business_days, business_days
from orchestration.defs.operations.lookback import build_intraday_config
from orchestration.defs.operations.resources import BusinessClock
from orchestration.defs.operations.schedules import ACTIVE_STATUSES, intraday, nightly
from orchestration.settings import OrchestrationSettings
from tests.business_clock import business_now

pytestmark = pytest.mark.filterwarnings("default")  # Dagster's own deprecations are not ours to fail on

PROVIDER = {"transactions", "callback_events", "campaign_reports"}
MARTS = {
    "campaigns",
    "campaign_days",
    "delivery_stats",
    "engagement_stats",
    "unsubscribe_stats",
    "timeline_events",
    "workspace_aggregates",
}


@pytest.fixture(scope="module")
def loaded() -> dg.Definitions:
    """Load the definitions as the webserver does."""
    from orchestration import definitions  # noqa: PLC0415 - costs seconds, and warns while it is imported

    return definitions.definitions()


def test_everlytics_tables_feed_the_staging_models(loaded: dg.Definitions) -> None:
    """The polled tables are the parents of dbt's staging models, and each folder of models is a group."""
    graph = loaded.resolve_asset_graph()
    for table in PROVIDER:
        staged = graph.get(dg.AssetKey(["staging", f"stg_everlytic__{table}"]))
        assert staged.parent_keys == {dg.AssetKey(["everlytic", table])}
        assert staged.group_name == "staging"
    marts = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).group_name == "marts"}
    assert marts == MARTS
    assert {graph.get(key).group_name for key in graph.get_all_asset_keys()} == {
        "app", "everlytic", "intermediate", "marts", "operations", "staging"
    }  # fmt: skip


def test_polled_tables_and_marts_have_a_freshness_policy(loaded: dg.Definitions) -> None:
    """Every polled table and every mart has a freshness policy, and no other asset has one."""
    graph = loaded.resolve_asset_graph()
    assets = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy is not None}
    assert assets == PROVIDER | MARTS


def test_a_backfill_of_any_range_is_one_run(loaded: dg.Definitions) -> None:
    """The polled tables are partitioned by business day, today included, and a range of days is one run."""
    graph = loaded.resolve_asset_graph()
    for table in PROVIDER:
        asset = graph.get(dg.AssetKey(["everlytic", table]))
        assert asset.partitions_def == business_days
        assert asset.backfill_policy == dg.BackfillPolicy.single_run()
    assert business_days.has_partition_key(business_now().date().isoformat())


def test_the_build_job_does_not_poll(loaded: dg.Definitions) -> None:
    """The job `build` has no asset that polls the provider or queues jobs, and includes the cross checks."""
    job = loaded.resolve_job_def("build")
    assert {key.path[0] for key in job.asset_layer.executable_asset_keys} == {"staging", "intermediate", "analytics"}
    checks = {key.name for key in job.asset_layer.asset_graph.asset_check_keys}
    assert {"counts_agree", "no_send_after_suppression", "no_event_without_message"} <= checks


def test_schedules_request_the_days_that_still_change() -> None:
    """`intraday` requests yesterday and today every 15 minutes, `nightly` the past week at 01:20, by business time.

    The intraday checks cover the last three days, the nightly ones all rows; both schedules are running by default.
    """
    clock = BusinessClock(text="0,2026-03-09T23:30:00+02:00,0.000000001")
    lookback = {"resources": {"lookback": {"config": {"days": 3}}}}
    with dg.instance_for_test() as instance:
        for schedule, cron, first, config in (
            (intraday, "*/15 * * * *", "2026-03-08", lookback),
            (nightly, "20 1 * * *", "2026-03-01", {}),
        ):
            with dg.build_schedule_context(instance=instance, resources={"clock": clock}) as context:
                requests = schedule.evaluate_tick(context).run_requests
            assert requests is not None
            (request,) = requests
            assert request.tags["dagster/asset_partition_range_start"] == first
            assert request.tags["dagster/asset_partition_range_end"] == "2026-03-09"
            assert request.run_config == config
            assert (schedule.cron_schedule, schedule.default_status) == (cron, dg.DefaultScheduleStatus.RUNNING)


def test_a_tick_is_skipped_while_a_run_is_active() -> None:
    """While a sync is in any active state, a tick requests no run and says why; otherwise it requests one.

    A run of another job, in any state, does not skip the tick.
    """
    clock = BusinessClock(text="0,2026-03-09T23:30:00+02:00,0.000000001")
    assert {status.name for status in ACTIVE_STATUSES} == {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}
    with dg.instance_for_test() as instance:
        # A queued run would need a code location; the line above covers its state.
        for name in ("NOT_STARTED", "STARTING", "STARTED", "CANCELING", "SUCCESS", "FAILURE", "CANCELED"):
            status = dg.DagsterRunStatus[name]
            for job in (_sync, _other):
                run = instance.create_run_for_job(job, status=status)
                with dg.build_schedule_context(instance=instance, resources={"clock": clock}) as context:
                    tick = intraday.evaluate_tick(context)
                is_skipped = job is _sync and status in ACTIVE_STATUSES
                assert len(tick.run_requests or []) == (0 if is_skipped else 1)
                state = status.value.lower().replace("_", " ")
                sentence = f"Run {run.run_id} of sync_and_build is still {state}." if is_skipped else None
                assert tick.skip_message == sentence
                instance.delete_run(run.run_id)


@dg.job(name="sync_and_build")
def _sync() -> None:
    """A job with the same name, which does nothing."""


@dg.job(name="build")
def _other() -> None:
    """A job with another name, which does nothing."""


def test_intraday_checks_cover_the_last_days_and_other_checks_all_rows(
    loaded: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intraday run configuration is valid for the lookback resource, whose default is all rows."""
    for name in ("DATABASE_URL", "SALESMATTER_SECRET_KEY"):
        monkeypatch.setenv(name, "not used here")
    job = loaded.resolve_job_def("sync_and_build")
    assert dg.validate_run_config(job, build_intraday_config())
    assert loaded.resources is not None
    assert loaded.resources["lookback"].days == 0


def test_days_of_accelerated_business_time_are_partitions() -> None:
    """Days that business time has reached are partitions, even if they lie years after the real day."""
    ahead = Clock(0.0, datetime(2031, 5, 1, tzinfo=UTC), 1e-9)
    assert build_business_days(ahead).has_partition_key("2031-05-01")
    assert not build_business_days(Clock()).has_partition_key("2031-05-01")


@pytest.mark.parametrize(
    ("clock", "ahead"),
    [(Clock(), 0), (Clock(speed=2.0, real_start=time.time(), virtual_start=datetime.now(UTC)), 120)],
)
def test_the_last_business_day_is_today_or_120_days_ahead(clock: Clock, ahead: int) -> None:
    """The first day is 2024-01-01 and the last one today; for an accelerated clock it is 120 days later."""
    # Two candidates, in case midnight passes between the calls.
    last_days = {datetime.now(UTC).date() + timedelta(days=ahead)}
    days = build_business_days(clock)
    last_days.add(datetime.now(UTC).date() + timedelta(days=ahead))
    assert days.get_first_partition_key() == "2024-01-01"
    assert days.get_last_partition_key() in {day.isoformat() for day in last_days}


def test_dagster_stores_no_secrets(loaded: dg.Definitions) -> None:
    """The database URL and the secret key are environment variable names in the code location, never values."""
    assert loaded.resources is not None
    assert loaded.resources["database"].url == dg.EnvVar("DATABASE_URL")
    assert loaded.resources["everlytic"].secret_key == dg.EnvVar("SALESMATTER_SECRET_KEY")
    assert "secret" not in " ".join(OrchestrationSettings.model_fields)
