"""Everlytic's own record, polled per business day and landed by the provider's key."""

import asyncio
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from orchestration.defs.everlytic.batches import Batches
from orchestration.defs.everlytic.landing import (
    CALLBACK_EVENTS,
    CAMPAIGN_REPORTS,
    TRANSACTIONS,
    Landing,
    record_cursors,
)
from orchestration.defs.everlytic.partitions import business_days
from orchestration.defs.everlytic.polling import Polled, poll
from orchestration.defs.everlytic.records import (
    Fetch,
    Window,
    fetch_callback_events,
    fetch_campaign_reports,
    fetch_transactions,
)
from orchestration.defs.everlytic.reporting import sync_metadata, unreadable_table
from orchestration.defs.everlytic.resources import EverlyticAccounts
from orchestration.defs.operations.resources import BusinessClock, Database

GROUP = "everlytic"
EVERY_TENANT = "every_tenant_synced"
EVERY_RECORD = "every_record_read"
FRESH = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=1), fail_window=timedelta(days=1))


def _provider_asset(landing: Landing, fetch: Fetch, description: str) -> dg.AssetsDefinition:
    """Return the asset that fills one table; assets differ in what they fetch and where it lands, in nothing else."""
    key = dg.AssetKey([GROUP, landing.table])

    def synced(
        context: dg.AssetExecutionContext, database: Database, everlytic: EverlyticAccounts, clock: BusinessClock
    ) -> Iterator[dg.MaterializeResult[None]]:
        span, now = context.partition_time_window, clock.now()
        window = Window(since=span.start, until=span.end, now=now)
        with database.connect() as connection:
            tenants = everlytic.tenants(connection)
        batches = Batches(database.connect, landing, context.log.info)
        polled = asyncio.run(poll(everlytic, tenants, fetch, window, batches, clock.now))
        with database.connect() as connection, connection.transaction():
            record_cursors(connection, [_cursor(landing, one, min(now, window.until)) for one in polled])
        yield dg.MaterializeResult(
            metadata=sync_metadata(polled, batches.landed, window),
            check_results=[_every_tenant(polled), _every_record(polled)],
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
                ),
                dg.AssetCheckSpec(
                    EVERY_RECORD,
                    asset=key,
                    description="Every record could be read; of one that could not, what could be read is kept.",
                ),
            ],
        )(synced)


def _cursor(landing: Landing, polled: Polled, through: datetime) -> dict[str, object]:
    return {
        "workspace_id": polled.tenant.workspace_id,
        "resource": landing.table,
        "synced_through": None if polled.error else through,
        "row_count": polled.fetched,
        "error": polled.error,
    }


def _every_tenant(polled: list[Polled]) -> dg.AssetCheckResult:
    failed = {f"{one.tenant.name} ({one.tenant.workspace_id})": one.error for one in polled if one.error}
    return dg.AssetCheckResult(
        check_name=EVERY_TENANT,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"workspaces": len(polled), "failed": len(failed), "errors": dg.MetadataValue.json(failed)},
    )


def _every_record(polled: list[Polled]) -> dg.AssetCheckResult:
    unreadable = sum(one.unreadable.total() for one in polled)
    return dg.AssetCheckResult(
        check_name=EVERY_RECORD,
        passed=not unreadable,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"unreadable_records": unreadable, "records": dg.MetadataValue.md(unreadable_table(polled))},
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
