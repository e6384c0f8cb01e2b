"""Runs one sync and build in the current process, without starting Dagster's webserver and daemon."""

import contextlib
import time
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from orchestration.errors import UnknownDay

if TYPE_CHECKING:
    import dagster as dg

QUIET_RUN_CONFIG = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class RunReport:
    """Result of a run: rows polled per provider table, errors of failed tenants, checks that did not pass."""

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
) -> RunReport:
    """Poll Everlytic for the business days `since` to `until` (default: today), then build and check the marts.

    Runs in this thread; do not call it inside a running event loop. The first call reads the clock and dbt's folders
    from the environment (OrchestrationSettings). `instance` defaults to an ephemeral one. With `poll=False` only the
    marts are built and checked. Raises UnknownDay, and DbtFailed if dbt cannot parse the project; a failed step is
    reported, not raised.
    """
    started = time.monotonic()
    import dagster as dg  # noqa: PLC0415 - importing Dagster takes seconds, which would slow down other commands

    from database.roles import owner_url  # noqa: PLC0415 - as above
    from orchestration.defs.dbt.project import DbtProject  # noqa: PLC0415 - as above
    from orchestration.settings import OrchestrationSettings  # noqa: PLC0415 - as above

    settings = OrchestrationSettings()
    # Parse before the definitions load: they need the manifest too, but take the database from the environment only.
    DbtProject(settings.dbt_project_dir, settings.dbt_target_path).ensure_manifest(owner_url(database_url))

    from domain.clock import Clock  # noqa: PLC0415 - as above
    from orchestration import definitions  # noqa: PLC0415 - as above
    from orchestration.defs.everlytic.partitions import business_days  # noqa: PLC0415 - as above
    from orchestration.defs.operations.schedules import build_partition_tags  # noqa: PLC0415 - as above

    until = until or Clock.parse(settings.salesmatter_clock).today()
    _require_known_days(business_days, since, until)
    loaded = definitions.build_definitions(settings, database_url, secret_key)
    with contextlib.ExitStack() as stack:
        result = loaded.resolve_job_def("sync_and_build" if poll else "build").execute_in_process(
            run_config=QUIET_RUN_CONFIG,
            instance=instance or stack.enter_context(dg.DagsterInstance.ephemeral()),
            tags=build_partition_tags(since, until) if poll else {},
            raise_on_error=False,
        )
        return _build_report(result, time.monotonic() - started)


def _require_known_days(days: "dg.PartitionsDefinition[str]", since: date, until: date) -> None:
    for day in (since, until):
        if not days.has_partition_key(day.isoformat()):
            raise UnknownDay(
                f"{day} cannot be polled. Choose a day from {days.get_first_partition_key()} to "
                f"{days.get_last_partition_key()}. If business time is accelerated, set SALESMATTER_CLOCK first."
            )


def _build_report(result: "dg.ExecuteInProcessResult", seconds: float) -> RunReport:
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
    errors = [f"{event.step_key}: {_root_cause(event)}" for event in result.all_events if event.is_step_failure]
    return RunReport(result.run_id, result.success, seconds, rows, failed_tenants, failed_checks, errors)


def _root_cause(event: "dg.DagsterEvent") -> str:
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else "failed"
