"""The demo from beginning to end: what it starts, what it does in which order, and what it says about it."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import time as clock_time
from pathlib import Path

from rich.console import Console

from salesmatter import accounts
from salesmatter.demo.business_time import BusinessTime
from salesmatter.demo.campaign import STEPS, WINDOW, Campaign, connect, write_sequence
from salesmatter.demo.http_client import HttpClient
from salesmatter.demo.importing import import_leads, read_file
from salesmatter.demo.marts import Marts
from salesmatter.demo.reconciliation import Reconciliation, reconcile
from salesmatter.demo.stage import Stage, open_stage, refuse_beside_a_worker
from salesmatter.demo.tables import show_campaigns, show_reconciliation, show_timeline
from salesmatter.demo.watching import Watch
from salesmatter.errors import DemoFailed
from salesmatter.interrupts import end_as_if_interrupted
from salesmatter.stack import Database, open_migrated_database

DAY_SECONDS = 5.0
PREPARATION_SECONDS = 16.0
"""From the clock's start to the Monday morning on which the first mails leave."""
MOST_SECONDS = 900.0
IN_FLIGHT_SECONDS = 2.0
"""Real time that a mail may be under way when a stop arrives; the next step is several real seconds away."""


def run(file: Path, seed: int) -> int:
    """Show the main job on `file`; returns 0 when all sides agree and nobody was mailed after a stop, else 1.

    Raises DemoFailed and the errors of the rooms it uses.
    """
    end_as_if_interrupted()
    started = time.monotonic()
    console = Console()
    content = read_file(file)
    with ExitStack() as open_things:
        with _phase(console, "Start database, sandbox, API and workers"):
            database = open_things.enter_context(open_migrated_database())
            refuse_beside_a_worker(database)
            account = asyncio.run(
                accounts.create(database, name="Demo", email="demo@demo.example.com", user_name="Demo")
            )
            opens = clock_time.fromisoformat(WINDOW[0])
            clock = BusinessTime.reaching_monday(opens, in_seconds=PREPARATION_SECONDS, day_seconds=DAY_SECONDS)
            # Dagster's definitions read it when they are imported.
            os.environ.update(database.environment(), SALESMATTER_CLOCK=str(clock))
            stage = open_things.enter_context(open_stage(database, clock, seed))
        api = open_things.enter_context(HttpClient(stage.api_url, account.api_key))
        sandbox = open_things.enter_context(HttpClient(stage.sandbox_url))
        result = _Show(console, database, clock, stage, api, sandbox).play(file.name, content)
    console.print(f"Done in {time.monotonic() - started:.0f} s.")
    return 0 if result.agrees else 1


@contextmanager
def _phase(console: Console, name: str) -> Iterator[None]:
    """Announce a phase, and its duration when it is done."""
    started = time.monotonic()
    console.rule(f"[bold]{name}", align="left")
    yield
    console.print(f"{time.monotonic() - started:.1f} s", style="dim")


class _Show:
    """The main job on an open stage."""

    def __init__(
        self,
        console: Console,
        database: Database,
        clock: BusinessTime,
        stage: Stage,
        api: HttpClient,
        sandbox: HttpClient,
    ) -> None:
        self._console, self._clock = console, clock
        self._stage, self._api, self._sandbox = stage, api, sandbox
        self._marts = Marts(database, clock)

    def play(self, name: str, content: bytes) -> Reconciliation:
        """Import, enroll, send, count and compare."""
        workspace, username = connect(self._api, self._sandbox, self._stage)
        with self._connected(workspace):
            with _phase(self._console, f"Import {name}"):
                check = self._stage.processes.check
                imported = import_leads(self._console, self._api, workspace, name, content, check)
            campaign = self._enroll(workspace, username, imported["listId"])
            with _phase(self._console, "Draft, review, send, hear back"):
                watch = Watch(self._console, self._api, self._sandbox, campaign, len(STEPS), self._clock)
                watch.until_done(check, MOST_SECONDS, when_quiet=self._marts.load)
            with _phase(self._console, "Sync Everlytic's reports and build the marts (Dagster, dbt)"):
                self._marts.build(self._console)
            return self._compare(campaign)

    @contextmanager
    def _connected(self, workspace: str) -> Iterator[None]:
        """Disconnect the workspace at the end, because its sandbox ends with the demo."""
        place = f"/api/workspaces/{workspace}/everlytic-connection"
        try:
            yield
        except BaseException:
            with suppress(DemoFailed):
                self._api.delete(place)
            raise
        self._api.delete(place)

    def _enroll(self, workspace: str, username: str, list_id: str) -> Campaign:
        with _phase(self._console, "Enroll"):
            sequence = write_sequence(self._api, workspace)
            enrolled = self._api.post(
                f"/api/workspaces/{workspace}/enrollments", {"sequenceId": sequence, "listId": list_id}
            )
            self._console.print(f"{enrolled['enrolled']:,} leads enrolled in {len(STEPS)} steps.")
        return Campaign(workspace, username, sequence, enrolled["enrolled"])

    def _compare(self, campaign: Campaign) -> Reconciliation:
        workspace, api = campaign.workspace, self._api
        with _phase(self._console, "Compare all sides"):
            result = reconcile(
                api,
                self._sandbox,
                workspace=workspace,
                sequence=campaign.sequence,
                username=campaign.username,
                in_flight=self._clock.lasting(IN_FLIGHT_SECONDS),
            )
        show_campaigns(self._console, api.all(f"/api/metrics/{workspace}/campaigns"))
        period = {"start": self._clock.moment.date().isoformat(), "end": self._clock.now().date().isoformat()}
        show_timeline(self._console, api.get(f"/api/metrics/{workspace}/timeseries", **period))
        show_reconciliation(self._console, result)
        return result
