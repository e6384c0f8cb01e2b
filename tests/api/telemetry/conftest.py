"""A queue that tests fill with SQL, and the samples of a scrape."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from database.roles import libpq_url, owner_url
from tests.business_clock import BUSINESS_NOW


@dataclass(frozen=True, slots=True)
class Figures:
    """The samples of one scrape."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def read(cls, text: str) -> "Figures":
        """Parse the text format."""
        families = text_string_to_metric_families(text)
        return cls(
            {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}
        )

    def value(self, name: str, **labels: str) -> float | None:
        """Return a sample, or None."""
        return self.samples.get((f"salesmatter_{name}", frozenset(labels.items())))

    def labels(self, name: str) -> set[frozenset[tuple[str, str]]]:
        """Return all combinations of labels of a sample's name."""
        return {labels for found, labels in self.samples if found == f"salesmatter_{name}"}


async def scrape(client: httpx.AsyncClient, url: str = "/metrics", **headers: str) -> Figures:
    """Scrape like Prometheus; fails without a successful response."""
    response = await client.get(url, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return Figures.read(response.text)


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue's table, as its owner."""

    owner: psycopg.Connection

    def workspace(self) -> UUID:
        """Make a workspace."""
        made = self.owner.execute(
            "WITH made AS (INSERT INTO app.accounts (name) VALUES ('Acme') RETURNING id) INSERT INTO app.workspaces"
            " (account_id, name, default_from_name, default_from_email)"
            " SELECT id, 'W', 'A', 'a@acme.example' FROM made RETURNING id"
        ).fetchone()
        assert made is not None
        workspace: UUID = made[0]
        return workspace

    def add(
        self,
        workspace: UUID,
        jobs: int = 1,
        *,
        job_type: str = "send_email",
        status: str = "pending",
        seconds: float = -60.0,
    ) -> None:
        """Add jobs that are due, or have ended, so many seconds from now."""
        self.owner.execute(
            "INSERT INTO app.scheduled_jobs (workspace_id, job_type, status, scheduled_for, run_at, completed_at)"
            " SELECT %(workspace)s, %(job_type)s, %(status)s, at, at,"
            "        CASE WHEN %(status)s IN ('completed', 'failed', 'cancelled') THEN at END"
            f"   FROM (SELECT {BUSINESS_NOW} + make_interval(secs => %(seconds)s) AS at) AS one,"
            " generate_series(1, %(jobs)s)",
            {"workspace": workspace, "job_type": job_type, "status": status, "seconds": seconds, "jobs": jobs},
        )


@pytest.fixture
def queue(database_url: str) -> Iterator[Queue]:
    """The queue of the test's database."""
    with psycopg.connect(libpq_url(owner_url(database_url)), autocommit=True) as owner:
        yield Queue(owner)
