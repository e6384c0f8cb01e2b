"""Runs the demo: starts the services, runs the campaign, builds the marts and compares all counts."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import time as clock_time
from pathlib import Path

from rich.console import Console

from egress.settings import allow_loopback
from salesmatter import accounts
from salesmatter.demo.business_time import BusinessTime
from salesmatter.demo.campaign import STEPS, WINDOW, Campaign, connect_workspace, create_sequence
from salesmatter.demo.campaign_monitor import CampaignMonitor
from salesmatter.demo.http_client import HttpClient
from salesmatter.demo.lead_import import import_leads, read_file
from salesmatter.demo.marts import MartBuilder
from salesmatter.demo.reconciliation import Reconciliation, reconcile
from salesmatter.demo.services import Services, require_no_worker, start_services
from salesmatter.demo.tables import show_campaigns, show_reconciliation, show_timeline
from salesmatter.errors import DemoFailed
from salesmatter.interrupts import interrupt_on_stop_signals
from salesmatter.stack import Database, open_migrated_database

DAY_SECONDS = 5.0
PREPARATION_SECONDS = 16.0
"""Real time from the start of the clock to the Monday morning on which the first mails are sent."""
CAMPAIGN_TIMEOUT_SECONDS = 900.0
IN_FLIGHT_SECONDS = 2.0
"""Real time within which a mail may still be sent after a stop; the next step comes several real seconds later."""


def run(file: Path, seed: int) -> int:
    """Run the demo with `file`; returns 0 if all counts agree and no mail was sent after a stop, else 1.

    Raises DemoFailed and the errors of the packages that it uses.
    """
    interrupt_on_stop_signals()
    started = time.monotonic()
    console = Console()
    content = read_file(file)
    with ExitStack() as stack:
        with _print_phase(console, "Start database, sandbox, API and workers"):
            database = stack.enter_context(open_migrated_database())
            require_no_worker(database)
            account = asyncio.run(
                accounts.create_account(database, name="Demo", email="demo@demo.example.com", user_name="Demo")
            )
            window_start = clock_time.fromisoformat(WINDOW[0])
            clock = BusinessTime.starting_before_monday(
                window_start, in_seconds=PREPARATION_SECONDS, day_seconds=DAY_SECONDS
            )
            # Dagster's definitions read the environment when they are imported.
            os.environ.update(database.to_environment(), SALESMATTER_CLOCK=str(clock), **allow_loopback())
            services = stack.enter_context(start_services(database, clock, seed))
        api = stack.enter_context(HttpClient(services.api_url, account.api_key))
        sandbox = stack.enter_context(HttpClient(services.sandbox_url))
        result = _DemoRun(console, database, clock, services, api, sandbox).run_campaign(file.name, content)
    console.print(f"Done in {time.monotonic() - started:.0f} s.")
    return 0 if result.is_consistent else 1


@contextmanager
def _print_phase(console: Console, name: str) -> Iterator[None]:
    """Print the name of a phase, and its duration at the end."""
    started = time.monotonic()
    console.rule(f"[bold]{name}", align="left")
    yield
    console.print(f"{time.monotonic() - started:.1f} s", style="dim")


class _DemoRun:
    """Runs a campaign on the started services."""

    def __init__(
        self,
        console: Console,
        database: Database,
        clock: BusinessTime,
        services: Services,
        api: HttpClient,
        sandbox: HttpClient,
    ) -> None:
        self._console, self._clock = console, clock
        self._services, self._api, self._sandbox = services, api, sandbox
        self._marts = MartBuilder(database, clock)

    def run_campaign(self, name: str, content: bytes) -> Reconciliation:
        """Import, enroll, send, build the marts and compare."""
        workspace_id, username = connect_workspace(self._api, self._sandbox, self._services)
        with self._disconnect_at_end(workspace_id):
            with _print_phase(self._console, f"Import {name}"):
                require_running = self._services.processes.require_running
                lead_import = import_leads(self._console, self._api, workspace_id, name, content, require_running)
            campaign = self._enroll(workspace_id, username, lead_import["listId"])
            with _print_phase(self._console, "Draft, approve, send, receive replies"):
                monitor = CampaignMonitor(self._console, self._api, self._sandbox, campaign, len(STEPS), self._clock)
                monitor.wait_until_done(
                    require_running, CAMPAIGN_TIMEOUT_SECONDS, on_mostly_done=self._marts.start_loading
                )
            with _print_phase(self._console, "Sync Everlytic's records and build the marts (Dagster, dbt)"):
                self._marts.build(self._console)
            return self._compare(campaign)

    @contextmanager
    def _disconnect_at_end(self, workspace_id: str) -> Iterator[None]:
        """Disconnect the workspace after the block, because its sandbox stops with the demo."""
        path = f"/api/workspaces/{workspace_id}/everlytic-connection"
        try:
            yield
        except BaseException:
            with suppress(DemoFailed):
                self._api.delete(path)
            raise
        self._api.delete(path)

    def _enroll(self, workspace_id: str, username: str, list_id: str) -> Campaign:
        with _print_phase(self._console, "Enroll"):
            sequence_id = create_sequence(self._api, workspace_id)
            result = self._api.post(
                f"/api/workspaces/{workspace_id}/enrollments", {"sequenceId": sequence_id, "listId": list_id}
            )
            self._console.print(f"{result['enrolled']:,} leads enrolled in {len(STEPS)} steps.")
        return Campaign(workspace_id, username, sequence_id, result["enrolled"])

    def _compare(self, campaign: Campaign) -> Reconciliation:
        workspace_id, api = campaign.workspace_id, self._api
        with _print_phase(self._console, "Compare all counts"):
            result = reconcile(
                api,
                self._sandbox,
                workspace_id=workspace_id,
                sequence_id=campaign.sequence_id,
                username=campaign.username,
                in_flight=self._clock.to_business_seconds(IN_FLIGHT_SECONDS),
            )
        show_campaigns(self._console, api.list_all(f"/api/metrics/{workspace_id}/campaigns"))
        period = {"start": self._clock.virtual_start.date().isoformat(), "end": self._clock.now().date().isoformat()}
        show_timeline(self._console, api.get(f"/api/metrics/{workspace_id}/timeseries", **period))
        show_reconciliation(self._console, result)
        return result
