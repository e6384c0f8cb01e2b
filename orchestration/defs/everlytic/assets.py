"""Dagster assets of Everlytic's own records, polled by business day and stored by the provider's key."""

import asyncio
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from orchestration.defs.everlytic.batches import BatchWriter
from orchestration.defs.everlytic.landing import (
    CALLBACK_EVENTS,
    CAMPAIGN_REPORTS,
    TRANSACTIONS,
    LandingTable,
    record_cursors,
)
from orchestration.defs.everlytic.partitions import business_days
from orchestration.defs.everlytic.polling import PollResult, poll_tenants
from orchestration.defs.everlytic.records import (
    FetchRows,
    PollWindow,
    fetch_callback_events,
    fetch_campaign_reports,
    fetch_transactions,
)
from orchestration.defs.everlytic.reporting import build_sync_metadata, format_unreadable_table
from orchestration.defs.everlytic.resources import EverlyticAccounts
from orchestration.defs.operations.resources import BusinessClock, Database

GROUP = "everlytic"
TENANT_CHECK = "every_tenant_synced"
RECORD_CHECK = "every_record_read"
FRESHNESS_POLICY = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=1), fail_window=timedelta(days=1))


def _build_provider_asset(table: LandingTable, fetch: FetchRows, description: str) -> dg.AssetsDefinition:
    """Return the asset that polls one kind of record into its table."""
    key = dg.AssetKey([GROUP, table.name])

    def sync_table(
        context: dg.AssetExecutionContext, database: Database, everlytic: EverlyticAccounts, clock: BusinessClock
    ) -> Iterator[dg.MaterializeResult[None]]:
        partition, now = context.partition_time_window, clock.now()
        window = PollWindow(since=partition.start, until=partition.end, now=now)
        with database.connect() as connection:
            tenants = everlytic.load_tenants(connection)
        batches = BatchWriter(database.connect, table, context.log.info)
        results = asyncio.run(poll_tenants(everlytic, tenants, fetch, window, batches, clock.now))
        with database.connect() as connection, connection.transaction():
            record_cursors(connection, [_build_cursor(table, result, min(now, window.until)) for result in results])
        yield dg.MaterializeResult(
            metadata=build_sync_metadata(results, batches.counts, window),
            check_results=[_check_every_tenant(results), _check_every_record(results)],
        )

    with warnings.catch_warnings():
        # Backfill policies are in beta, but without one a backfill of a year would be hundreds of runs.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.asset(
            key=key,
            description=description,
            group_name=GROUP,
            kinds={"python", "polars", "postgres"},
            partitions_def=business_days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            freshness_policy=FRESHNESS_POLICY,
            check_specs=[
                dg.AssetCheckSpec(
                    TENANT_CHECK,
                    asset=key,
                    description="Every workspace with an enabled Everlytic connection was polled without an error.",
                ),
                dg.AssetCheckSpec(
                    RECORD_CHECK,
                    asset=key,
                    description="Every polled record could be read in full; `records` counts those that could not.",
                ),
            ],
        )(sync_table)


def _build_cursor(table: LandingTable, result: PollResult, through: datetime) -> dict[str, object]:
    return {
        "workspace_id": result.tenant.workspace_id,
        "resource": table.name,
        "synced_through": None if result.error else through,
        "row_count": result.fetched,
        "error": result.error,
    }


def _check_every_tenant(results: list[PollResult]) -> dg.AssetCheckResult:
    errors = {
        f"{result.tenant.name} ({result.tenant.workspace_id})": result.error for result in results if result.error
    }
    return dg.AssetCheckResult(
        check_name=TENANT_CHECK,
        passed=not errors,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"workspaces": len(results), "failed": len(errors), "errors": dg.MetadataValue.json(errors)},
    )


def _check_every_record(results: list[PollResult]) -> dg.AssetCheckResult:
    unreadable = sum(result.unreadable.total() for result in results)
    return dg.AssetCheckResult(
        check_name=RECORD_CHECK,
        passed=not unreadable,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"unreadable_records": unreadable, "records": dg.MetadataValue.md(format_unreadable_table(results))},
    )


transactions = _build_provider_asset(
    TRANSACTIONS, fetch_transactions, "Transactional messages from Everlytic's transaction list."
)
callback_events = _build_provider_asset(
    CALLBACK_EVENTS,
    fetch_callback_events,
    "Events from Everlytic's callback list, under the same key as in the webhook.",
)
campaign_reports = _build_provider_asset(
    CAMPAIGN_REPORTS,
    fetch_campaign_reports,
    "Reports of Everlytic bulk emails, one snapshot per business day. Snapshots of past days do not change.",
)
