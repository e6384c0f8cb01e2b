"""How far a resource is said to be polled, by a business clock that stands still in the morning of a day."""

import time
from datetime import datetime, timedelta

import dagster as dg
import psycopg
import pytest

from orchestration.defs.everlytic import assets
from orchestration.defs.everlytic.resources import EverlyticAccounts
from orchestration.defs.operations.resources import BusinessClock, Database
from tests.api.running import STANDSTILL
from tests.dbt_project.history import History
from tests.orchestration.conftest import MORNING, SECRET_KEY, connect_tenant
from tests.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("default")  # Dagster's own deprecations are not ours to fail on

DAY = timedelta(days=1)
MIDNIGHT = MORNING.replace(hour=0)


@pytest.mark.parametrize("resource", ["transactions", "callback_events", "campaign_reports"])
@pytest.mark.parametrize(
    ("day", "through"),
    [(MORNING, MORNING), (MORNING - DAY, MIDNIGHT), (MORNING - 2 * DAY, MIDNIGHT - DAY)],
    ids=["today", "yesterday", "the day before"],
)
def test_a_day_is_polled_to_its_end_or_to_now(
    connection: psycopg.Connection,
    history: History,
    provider: Sandbox,
    module_database_url: str,
    resource: str,
    day: datetime,
    through: datetime,
) -> None:
    """The cursor says the end of a day that is over, and of the day that goes on how late it is."""
    workspace = history.add_workspace("Good")
    connect_tenant(connection, workspace, provider, provider.new_username())
    clock = BusinessClock(text=f"{time.time()},{MORNING.isoformat()},{STANDSTILL}")
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [getattr(assets, resource)],
            partition_key=day.date().isoformat(),
            instance=instance,
            resources={
                "database": Database(url=module_database_url),
                "everlytic": EverlyticAccounts(secret_key=SECRET_KEY, allowed_networks=["127.0.0.0/8"]),
                "clock": clock,
            },
        )
    cursors = connection.execute(
        "SELECT resource, synced_through, error FROM everlytic.sync_cursors WHERE workspace_id = %s", [workspace]
    )
    assert cursors.fetchall() == [(resource, through, None)]
