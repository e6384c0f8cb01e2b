"""Dagster definitions: all assets, checks, jobs and schedules, with resources configured by the environment.

Modules are listed, not discovered: Dagster's folder discovery needs the project's pyproject.toml beside the code,
which an installed package does not have.
"""

import dagster as dg

from orchestration.defs.dbt import assets as dbt_assets
from orchestration.defs.dbt import freshness
from orchestration.defs.dbt.resources import Dbt
from orchestration.defs.everlytic import assets as everlytic_assets
from orchestration.defs.everlytic.resources import EverlyticAccounts
from orchestration.defs.operations import assets as operations_assets
from orchestration.defs.operations import checks, schedules
from orchestration.defs.operations.lookback import Lookback
from orchestration.defs.operations.resources import BusinessClock, Database
from orchestration.settings import OrchestrationSettings


def build_definitions(settings: OrchestrationSettings, database_url: str, secret_key: str) -> dg.Definitions:
    """Return all definitions; the URL and the key may be `EnvVar`s, which Dagster resolves when a run starts."""
    project_dir, target_path = str(settings.dbt_project_dir), str(settings.dbt_target_path)
    return dg.Definitions(
        assets=[
            *dg.load_assets_from_modules([everlytic_assets, dbt_assets, operations_assets]),
            *dbt_assets.app_tables,
        ],
        asset_checks=dg.load_asset_checks_from_modules([checks, freshness]),
        jobs=[schedules.sync_and_build_job, schedules.build_job],
        schedules=[schedules.intraday, schedules.nightly],
        # Run all steps in one process: a process per step would import Dagster, dbt and Polars eight times.
        executor=dg.in_process_executor,
        resources={
            "database": Database(url=database_url),
            "everlytic": EverlyticAccounts(
                secret_key=secret_key,
                allowed_networks=[str(network) for network in settings.egress.egress_allowed_networks],
                max_megabytes=settings.egress.provider_max_megabytes,
                tenant_pages=settings.salesmatter_poll_tenant_pages,
                tenant_seconds=settings.salesmatter_poll_tenant_seconds,
                poll_seconds=settings.salesmatter_poll_seconds,
            ),
            "lookback": Lookback(),
            "clock": BusinessClock(text=settings.salesmatter_clock or ""),
            "dbt": Dbt(url=database_url, project_dir=project_dir, target_path=target_path),
        },
    )


@dg.definitions
def definitions() -> dg.Definitions:
    """Return the definitions that the webserver, the daemon and the runs load."""
    return build_definitions(OrchestrationSettings(), dg.EnvVar("DATABASE_URL"), dg.EnvVar("SALESMATTER_SECRET_KEY"))
