"""When the pipeline runs by itself: the days still moving every quarter of an hour, the past week once a night."""

from datetime import date, timedelta

import dagster as dg

from orchestration.defs.operations.checks import (
    counts_agree,
    no_event_without_message,
    nobody_mailed_after_suppression,
)
from orchestration.defs.operations.lookback import lately
from orchestration.defs.operations.resources import BusinessClock

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)

CROSS_CHECKS = dg.AssetSelection.checks(counts_agree, nobody_mailed_after_suppression, no_event_without_message)

sync_and_build_job = dg.define_asset_job(
    "sync_and_build",
    selection=dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks(),
    description="Polls Everlytic for a range of business days, asks the worker to apply what came, builds the marts.",
)

build_job = dg.define_asset_job(
    "build",
    selection=dg.AssetSelection.groups("staging", "intermediate", "marts") | CROSS_CHECKS,
    description="Builds and checks the marts from what is there, without asking Everlytic.",
)


def day_range(first: date, last: date) -> dict[str, str]:
    """Return the run tags that stand for all business days from `first` to `last`, both included."""
    return {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}


@dg.schedule(job=sync_and_build_job, cron_schedule="*/15 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def intraday(context: dg.ScheduleEvaluationContext, clock: BusinessClock) -> dg.RunRequest | dg.SkipReason:
    """Yesterday and today, every 15 minutes, unless the last run still goes on; its checks look at the last days."""
    running = dg.RunsFilter(job_name=sync_and_build_job.name, statuses=list(UNDER_WAY))
    for run in context.instance.get_runs(filters=running, limit=1):
        return dg.SkipReason(
            f"Run {run.run_id} of {run.job_name} is still {run.status.value.lower().replace('_', ' ')}."
        )
    today = clock.today()
    return dg.RunRequest(run_config=lately(), tags=day_range(today - timedelta(days=1), today))


@dg.schedule(job=sync_and_build_job, cron_schedule="20 1 * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def nightly(clock: BusinessClock) -> dg.RunRequest:
    """The last eight days: counts on a message, and what the provider pushed to nobody, still change that late.

    Its checks look at all of history.
    """
    today = clock.today()
    return dg.RunRequest(tags=day_range(today - timedelta(days=8), today))
