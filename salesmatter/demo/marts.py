"""Runs the Dagster and dbt pipeline once in this process; it is imported in the background, which takes seconds."""

import threading
from contextlib import suppress

from rich.console import Console

from salesmatter.demo.business_time import BusinessTime
from salesmatter.errors import DemoFailed
from salesmatter.stack import Database


class MartBuilder:
    """Syncs Everlytic's records and builds the marts."""

    def __init__(self, database: Database, clock: BusinessTime) -> None:
        self._database, self._clock = database, clock
        self._loading = threading.Thread(target=self._load, name="loading-dagster", daemon=True)

    def start_loading(self) -> None:
        """Start to import Dagster and dbt in a background thread; a second call does nothing."""
        if self._loading.ident is None:
            self._loading.start()

    def build(self, console: Console) -> None:
        """Sync, build and check; raises DemoFailed if a step or a check fails."""
        from orchestration.run import sync_and_build  # noqa: PLC0415 - Dagster takes seconds to import

        self.start_loading()
        self._loading.join()
        environment = self._database.to_environment()
        report = sync_and_build(
            database_url=environment["DATABASE_URL_UNPOOLED"],
            secret_key=environment["SALESMATTER_SECRET_KEY"],
            since=self._clock.virtual_start.date(),
            until=self._clock.now().date(),
        )
        row_counts = ", ".join(f"{rows:,} {table.replace('_', ' ')}" for table, rows in report.rows.items())
        console.print(f"Landed: {row_counts}.")
        if report.errors or report.failed_checks:
            raise DemoFailed(f"The sync or the build failed: {'; '.join([*report.errors, *report.failed_checks])}.")
        console.print("All asset checks passed.")

    @staticmethod
    def _load() -> None:
        # An error here is raised again by `build`, where it is reported.
        with suppress(Exception):
            from orchestration.definitions import definitions  # noqa: PLC0415 - as above

            definitions()
