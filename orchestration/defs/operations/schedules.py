"""Jobs and schedules: the current days every 15 minutes, the past week once a night."""

from datetime import date, timedelta

import dagster as dg

from orchestration.defs.operations.checks import (
    counts_agree,
    no_event_without_message,
    no_send_after_suppression,
)
from orchestration.defs.operations.lookback import build_intraday_config
from orchestration.defs.operations.resources import BusinessClock

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

ACTIVE_STATUSES = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)

CROSS_CHECKS = dg.AssetSelection.checks(counts_agree, no_send_after_suppression, no_event_without_message)

sync_and_build_job = dg.define_asset_job(
    "sync_and_build",
    selection=dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks(),
    description="Polls Everlytic for a range of business days, queues jobs that apply the records, builds the marts.",
)

build_job = dg.define_asset_job(
    "build",
    selection=dg.AssetSelection.groups("staging", "intermediate", "marts") | CROSS_CHECKS,
    description="Builds and checks the marts from the stored records, without polling Everlytic.",
)


def build_partition_tags(first: date, last: date) -> dict[str, str]:
    """Return the run tags that select all business days from `first` to `last`, both included."""
    return {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}


@dg.schedule(job=sync_and_build_job, cron_schedule="*/15 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def intraday(context: dg.ScheduleEvaluationContext, clock: BusinessClock) -> dg.RunRequest | dg.SkipReason:
    """Syncs yesterday and today every 15 minutes, unless a run is still active; checks cover the last days only."""
    active_runs = dg.RunsFilter(job_name=sync_and_build_job.name, statuses=list(ACTIVE_STATUSES))
    for run in context.instance.get_runs(filters=active_runs, limit=1):
        return dg.SkipReason(
            f"Run {run.run_id} of {run.job_name} is still {run.status.value.lower().replace('_', ' ')}."
        )
    today = clock.today()
    return dg.RunRequest(
        run_config=build_intraday_config(), tags=build_partition_tags(today - timedelta(days=1), today)
    )


@dg.schedule(job=sync_and_build_job, cron_schedule="20 1 * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def nightly(clock: BusinessClock) -> dg.RunRequest:
    """Syncs the last eight days at night, because counts still change and webhooks get lost; checks cover all rows."""
    today = clock.today()
    return dg.RunRequest(tags=build_partition_tags(today - timedelta(days=8), today))
