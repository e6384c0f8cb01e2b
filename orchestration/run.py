"""One sync and build in this process, for whoever cannot wait for Dagster's processes to start."""

import contextlib
import time
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from orchestration.errors import UnknownDay

if TYPE_CHECKING:
    import dagster as dg

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did: rows polled per provider table, tenants that failed and why, checks that did not pass."""

    run_id: str
    success: bool
    seconds: float
    rows: dict[str, int] = field(default_factory=dict)
    failed_tenants: dict[str, str] = field(default_factory=dict)
    failed_checks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def sync_and_build(
    *,
    database_url: str,
    secret_key: str,
    since: date,
    until: date | None = None,
    instance: "dg.DagsterInstance | None" = None,
    poll: bool = True,
) -> Report:
    """Poll Everlytic for the business days `since` to `until` (today when left out), then build and check the marts.

    Runs in this thread and must not be called inside a running event loop. The clock and dbt's folders are read from
    the environment (OrchestrationSettings) when this is first called. `instance` defaults to one that forgets the run;
    with `poll=False` only the marts are built and checked. Raises UnknownDay, and DbtFailed for a project that cannot
    be read; a failed step is in the report, not raised.
    """
    started = time.monotonic()
    import dagster as dg  # noqa: PLC0415 - importing Dagster costs seconds that other commands must not pay

    from database.roles import owner_url  # noqa: PLC0415 - as above
    from orchestration.defs.dbt.project import DbtProject  # noqa: PLC0415 - as above
    from orchestration.settings import OrchestrationSettings  # noqa: PLC0415 - as above

    settings = OrchestrationSettings()
    # Before the definitions load: they want the manifest too, and know no database that is not in the environment.
    DbtProject(settings.dbt_project_dir, settings.dbt_target_path).manifest(owner_url(database_url))

    from orchestration import definitions as code  # noqa: PLC0415 - as above
    from orchestration.clock import parse_clock  # noqa: PLC0415 - as above
    from orchestration.defs.everlytic.partitions import business_days  # noqa: PLC0415 - as above
    from orchestration.defs.operations.schedules import day_range  # noqa: PLC0415 - as above

    until = until or parse_clock(settings.salesmatter_clock).today()
    _require_known(business_days, since, until)
    loaded = code.build(settings, database_url, secret_key)
    with contextlib.ExitStack() as stack:
        result = loaded.resolve_job_def("sync_and_build" if poll else "build").execute_in_process(
            run_config=QUIET,
            instance=instance or stack.enter_context(dg.DagsterInstance.ephemeral()),
            tags=day_range(since, until) if poll else {},
            raise_on_error=False,
        )
        return _report(result, time.monotonic() - started)


def _require_known(days: "dg.PartitionsDefinition[str]", since: date, until: date) -> None:
    for day in (since, until):
        if not days.has_partition_key(day.isoformat()):
            raise UnknownDay(
                f"{day} is no business day that can be polled. Days run from {days.get_first_partition_key()} to "
                f"{days.get_last_partition_key()}; if business time is accelerated, set SALESMATTER_CLOCK first."
            )


def _report(result: "dg.ExecuteInProcessResult", seconds: float) -> Report:
    rows: dict[str, int] = {}
    failed_tenants: dict[str, str] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        if materialization.asset_key.path[0] == "everlytic":
            rows[materialization.asset_key.path[-1]] = int(str(materialization.metadata["dagster/row_count"].value))
    failed_checks = []
    for check in result.get_asset_check_evaluations():
        if check.passed:
            continue
        failed_checks.append(f"{check.asset_key.to_user_string()}: {check.check_name}")
        if check.check_name == "every_tenant_synced":
            errors_by_tenant = check.metadata["errors"].value
            assert isinstance(errors_by_tenant, dict)
            failed_tenants.update(errors_by_tenant)
    errors = [f"{event.step_key}: {_reason(event)}" for event in result.all_events if event.is_step_failure]
    return Report(result.run_id, result.success, seconds, rows, failed_tenants, failed_checks, errors)


def _reason(event: "dg.DagsterEvent") -> str:
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else "failed"
