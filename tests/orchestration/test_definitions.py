"""What Dagster loads: the graph, its groups, its schedules."""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from orchestration.clock import Clock
from orchestration.defs.everlytic.partitions import business_days, business_days_of
from orchestration.defs.operations.lookback import lately
from orchestration.defs.operations.resources import BusinessClock
from orchestration.defs.operations.schedules import UNDER_WAY, intraday, nightly
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


def test_everlytics_tables_lead_into_dbt(loaded: dg.Definitions) -> None:
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


def test_what_people_look_at_must_stay_fresh(loaded: dg.Definitions) -> None:
    """Every polled table and every mart has a freshness policy."""
    graph = loaded.resolve_asset_graph()
    watched = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy is not None}
    assert watched == PROVIDER | MARTS


def test_a_backfill_of_any_range_is_one_run(loaded: dg.Definitions) -> None:
    """The polled tables are partitioned by business day, today included, and a range of days is one run."""
    graph = loaded.resolve_asset_graph()
    for table in PROVIDER:
        polled = graph.get(dg.AssetKey(["everlytic", table]))
        assert polled.partitions_def == business_days
        assert polled.backfill_policy == dg.BackfillPolicy.single_run()
    assert business_days.has_partition_key(business_now().date().isoformat())


def test_the_build_alone_asks_nobody(loaded: dg.Definitions) -> None:
    """The job that only builds has no asset that polls the provider or queues jobs, and has the checks across sides."""
    job = loaded.resolve_job_def("build")
    assert {key.path[0] for key in job.asset_layer.executable_asset_keys} == {"staging", "intermediate", "analytics"}
    checks = {key.name for key in job.asset_layer.asset_graph.asset_check_keys}
    assert {"counts_agree", "nobody_mailed_after_suppression", "no_event_without_message"} <= checks


def test_schedules_ask_for_the_days_that_still_move() -> None:
    """Every quarter of an hour yesterday and today, at 01:20 the week before, by the business clock.

    The checks of the first look at the last three days, those of the other at everything; both run from the start.
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


def test_a_slow_run_is_not_overtaken() -> None:
    """While a sync is under way in any state, a tick asks for nothing and says why; otherwise it asks.

    A run of another job, in any state, holds nothing up.
    """
    clock = BusinessClock(text="0,2026-03-09T23:30:00+02:00,0.000000001")
    assert {status.name for status in UNDER_WAY} == {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}
    with dg.instance_for_test() as instance:
        # A queued run wants a code location of its own; the line above has its state.
        for name in ("NOT_STARTED", "STARTING", "STARTED", "CANCELING", "SUCCESS", "FAILURE", "CANCELED"):
            status = dg.DagsterRunStatus[name]
            for job in (_sync, _other):
                run = instance.create_run_for_job(job, status=status)
                with dg.build_schedule_context(instance=instance, resources={"clock": clock}) as context:
                    tick = intraday.evaluate_tick(context)
                holds = job is _sync and status in UNDER_WAY
                assert len(tick.run_requests or []) == (0 if holds else 1)
                state = status.value.lower().replace("_", " ")
                sentence = f"Run {run.run_id} of sync_and_build is still {state}." if holds else None
                assert tick.skip_message == sentence
                instance.delete_run(run.run_id)


@dg.job(name="sync_and_build")
def _sync() -> None:
    """Stand for a run of the job: what it does is of no account here."""


@dg.job(name="build")
def _other() -> None:
    """Stand for a run of the other job."""


def test_intraday_checks_look_at_the_last_days_and_others_at_everything(
    loaded: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a schedule configures is what the resource of the checks takes, and without it they look at everything."""
    for name in ("DATABASE_URL", "SALESMATTER_SECRET_KEY"):
        monkeypatch.setenv(name, "not asked for anything here")
    job = loaded.resolve_job_def("sync_and_build")
    assert dg.validate_run_config(job, lately())
    assert loaded.resources is not None
    assert loaded.resources["lookback"].days == 0


def test_an_accelerated_business_day_is_known() -> None:
    """Days that business time has reached exist as partitions although the real day is long before them."""
    ahead = Clock(0.0, datetime(2031, 5, 1, tzinfo=UTC), 1e-9)
    assert business_days_of(ahead).has_partition_key("2031-05-01")
    assert not business_days_of(Clock()).has_partition_key("2031-05-01")


@pytest.mark.parametrize(
    ("clock", "ahead"),
    [(Clock(), 0), (Clock(speed=2.0, real_start=time.time(), virtual_start=datetime.now(UTC)), 120)],
)
def test_the_last_business_day_is_today_or_as_far_as_a_fast_clock_may_come(clock: Clock, ahead: int) -> None:
    """The first day is the first of 2024, the last one today; for a clock that is faster it is 120 days later."""
    midnight_between = {datetime.now(UTC).date() + timedelta(days=ahead)}
    days = business_days_of(clock)
    midnight_between.add(datetime.now(UTC).date() + timedelta(days=ahead))
    assert days.get_first_partition_key() == "2024-01-01"
    assert days.get_last_partition_key() in {day.isoformat() for day in midnight_between}


def test_secrets_stay_out_of_what_dagster_stores(loaded: dg.Definitions) -> None:
    """The URL and the key are environment variables by name in the code location, never values."""
    assert loaded.resources is not None
    assert loaded.resources["database"].url == dg.EnvVar("DATABASE_URL")
    assert loaded.resources["everlytic"].secret_key == dg.EnvVar("SALESMATTER_SECRET_KEY")
    assert "secret" not in " ".join(OrchestrationSettings.model_fields)
