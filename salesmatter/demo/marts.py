"""Dagster and dbt in this process: loaded beside the work, because that takes seconds, then run once."""

import threading
from contextlib import suppress

from rich.console import Console

from salesmatter.demo.business_time import BusinessTime
from salesmatter.errors import DemoFailed
from salesmatter.stack import Database


class Marts:
    """The pipeline that lands Everlytic's reports and builds the marts."""

    def __init__(self, database: Database, clock: BusinessTime) -> None:
        self._database, self._clock = database, clock
        self._loading = threading.Thread(target=self._load, name="loading-dagster", daemon=True)

    def load(self) -> None:
        """Begin to load what `build` needs, beside whatever else goes on; the second time nothing happens."""
        if self._loading.ident is None:
            self._loading.start()

    def build(self, console: Console) -> None:
        """Sync, build and check; raises DemoFailed when anything of it says no."""
        from orchestration.run import sync_and_build  # noqa: PLC0415 - Dagster takes seconds to import

        self.load()
        self._loading.join()
        told = self._database.environment()
        report = sync_and_build(
            database_url=told["DATABASE_URL_UNPOOLED"],
            secret_key=told["SALESMATTER_SECRET_KEY"],
            since=self._clock.moment.date(),
            until=self._clock.now().date(),
        )
        landed = ", ".join(f"{rows:,} {table.replace('_', ' ')}" for table, rows in report.rows.items())
        console.print(f"Landed: {landed}.")
        if report.errors or report.failed_checks:
            raise DemoFailed(f"The sync or the build failed: {'; '.join([*report.errors, *report.failed_checks])}.")
        console.print("All asset checks passed.")

    @staticmethod
    def _load() -> None:
        # What fails here fails again, and is told, when it is needed.
        with suppress(Exception):
            from orchestration.definitions import definitions  # noqa: PLC0415 - as above

            definitions()
