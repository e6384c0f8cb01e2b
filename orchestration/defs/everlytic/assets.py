"""Everlytic's own record, polled per business day and landed by the provider's key."""

import asyncio
import warnings
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from orchestration.defs.everlytic.landing import (
    CALLBACK_EVENTS,
    CAMPAIGN_REPORTS,
    TRANSACTIONS,
    Landing,
    land,
    record_cursors,
)
from orchestration.defs.everlytic.partitions import business_days
from orchestration.defs.everlytic.polling import (
    Fetch,
    Polled,
    Window,
    fetch_callback_events,
    fetch_campaign_reports,
    fetch_transactions,
    poll,
)
from orchestration.defs.everlytic.reporting import sync_metadata
from orchestration.defs.everlytic.resources import EverlyticAccounts
from orchestration.defs.operations.resources import BusinessClock, Database

GROUP = "everlytic"
EVERY_TENANT = "every_tenant_synced"
FRESH = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=1), fail_window=timedelta(days=1))


def _provider_asset(landing: Landing, fetch: Fetch, description: str) -> dg.AssetsDefinition:
    """Return the asset that fills one table; assets differ in what they fetch and where it lands, in nothing else."""
    key = dg.AssetKey([GROUP, landing.table])

    def synced(
        context: dg.AssetExecutionContext, database: Database, everlytic: EverlyticAccounts, clock: BusinessClock
    ) -> Iterator[dg.MaterializeResult[None]]:
        span = context.partition_time_window
        now = clock.now()
        window = Window(since=span.start, until=span.end, today=now.date())
        with database.connect() as connection:
            tenants = everlytic.tenants(connection)
        # No connection is held while the provider is asked: that may take minutes.
        polled = asyncio.run(poll(everlytic, tenants, fetch, window))
        frame = landing.frame([row for one in polled for row in one.rows])
        with database.connect() as connection, connection.transaction():
            landed = land(connection, landing, frame)
            record_cursors(
                connection,
                [
                    {
                        "workspace_id": one.tenant.workspace_id,
                        "resource": landing.table,
                        "synced_through": None if one.error else min(now, window.until),
                        "row_count": len(one.rows),
                        "error": one.error,
                    }
                    for one in polled
                ],
            )
        yield dg.MaterializeResult(
            metadata=sync_metadata(landing, polled, frame, landed), check_results=[_every_tenant(polled)]
        )

    with warnings.catch_warnings():
        # Backfill policies are in beta; a backfill of a year must still be one run.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.asset(
            key=key,
            description=description,
            group_name=GROUP,
            kinds={"python", "polars", "postgres"},
            partitions_def=business_days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            freshness_policy=FRESH,
            check_specs=[
                dg.AssetCheckSpec(
                    EVERY_TENANT,
                    asset=key,
                    description="Every workspace with a live connection answered; those that failed are named.",
                )
            ],
        )(synced)


def _every_tenant(polled: list[Polled]) -> dg.AssetCheckResult:
    failed = {f"{one.tenant.name} ({one.tenant.workspace_id})": one.error for one in polled if one.error}
    return dg.AssetCheckResult(
        check_name=EVERY_TENANT,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"workspaces": len(polled), "failed": len(failed), "errors": dg.MetadataValue.json(failed)},
    )


transactions = _provider_asset(
    TRANSACTIONS, fetch_transactions, "Each transactional message as Everlytic's transaction list shows it."
)
callback_events = _provider_asset(
    CALLBACK_EVENTS, fetch_callback_events, "Each event in Everlytic's callback list, under the key its webhook has."
)
campaign_reports = _provider_asset(
    CAMPAIGN_REPORTS,
    fetch_campaign_reports,
    "The report of each bulk email, one snapshot a business day; days gone by stay as they were reported then.",
)
