"""Speaks to the imports of one workspace: as a person would, as the worker does block by block, and as the owner."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from api.http.resources import Services
from api.imports import commit as commits
from api.imports import undo as undos
from api.imports.files.blocks import BLOCK_CHARACTERS
from database.tenancy import Scope, transaction
from tests.api.running import RunJobs

Row = dict[str, Any]
OUTCOMES = ("new", "updated", "duplicateInFile", "duplicateInWorkspace", "suppressed", "invalid")


class Imports:
    """Speaks to the imports of one workspace."""

    def __init__(self, client: httpx.AsyncClient, workspace: str, run_jobs: RunJobs) -> None:
        self.client, self.base, self.run_jobs = client, f"/api/workspaces/{workspace}", run_jobs

    async def upload(self, data: str | bytes, name: str = "people.csv", **form: str) -> httpx.Response:
        """Upload a file."""
        raw = data.encode() if isinstance(data, str) else data
        return await self.client.post(f"{self.base}/imports", files={"file": (name, raw)}, data=form)

    async def uploaded(self, data: str | bytes, name: str = "people.csv", **form: str) -> dict[str, Any]:
        """Upload a file that is taken and return the import."""
        response = await self.upload(data, name, **form)
        assert response.status_code == 202, response.text
        made: dict[str, Any] = response.json()
        return made

    async def get(self, path: str) -> Any:
        """Return what a path of the workspace answers."""
        response = await self.client.get(f"{self.base}/{path}")
        assert response.status_code == 200, response.text
        return response.json()

    async def request(self, made: dict[str, Any], what: str) -> httpx.Response:
        """Request a commit or an undo and return the response."""
        return await self.client.post(f"{self.base}/imports/{made['id']}/{what}")

    async def start(self, made: dict[str, Any], what: str) -> dict[str, Any]:
        """Start a commit or an undo, which a worker has yet to do, and return the import as it is then."""
        response = await self.request(made, what)
        assert response.status_code == 202, response.text
        started: dict[str, Any] = response.json()
        assert started["state"] == {"commit": "committing", "undo": "undoing"}[what]
        return started

    async def made(self, path: str, body: object) -> Any:
        """POST below the workspace, and return what that made."""
        response = await self.client.post(f"{self.base}/{path}", json=body)
        assert response.is_success, response.text
        return response.json()

    async def commit(self, made: dict[str, Any]) -> dict[str, Any]:
        """Commit an import, let the worker do it, and return the import as it is then."""
        await self.start(made, "commit")
        await self.run_jobs()
        done: dict[str, Any] = await self.get(f"imports/{made['id']}")
        assert done["state"] == "committed", done["error"]
        return done

    async def undo(self, made: dict[str, Any]) -> dict[str, Any]:
        """Undo an import, let the worker do it, and return the import as it is then."""
        await self.start(made, "undo")
        await self.run_jobs()
        done: dict[str, Any] = await self.get(f"imports/{made['id']}")
        assert done["state"] == "undone", done["error"]
        return done

    async def preview(self, made: dict[str, Any]) -> dict[str, Any]:
        """Return what a commit would do."""
        found: dict[str, Any] = await self.get(f"imports/{made['id']}/preview")
        assert sum(found[name] for name in OUTCOMES) == found["rowCount"]
        return found

    async def imported(self, data: str | bytes, **form: str) -> dict[str, Any]:
        """Upload and commit a file."""
        return await self.commit(await self.uploaded(data, **form))

    async def errors(self, made: dict[str, Any]) -> list[list[str]]:
        """Return the lines of an import's errors.csv, cell by cell, without blanks that only made them long."""
        answer = await self.client.get(f"{self.base}/imports/{made['id']}/errors.csv")
        assert answer.status_code == 200, answer.text
        text = re.sub(r" {1000,}", "", answer.content.decode("utf-8-sig"))
        return list(csv.reader(io.StringIO(text, newline="")))

    async def leads(self) -> dict[str, dict[str, Any]]:
        """Return the workspace's leads by address."""
        return {lead["email"]: lead for lead in (await self.get("leads?limit=500"))["items"]}


def counts(made: dict[str, Any]) -> dict[str, int]:
    """Return what came of an import's rows, or would in a preview: the outcomes that are not 0."""
    return {name: number for name in OUTCOMES if (number := made.get(f"{name}Count", made.get(name)))}


def mapped(made: dict[str, Any]) -> dict[str, str]:
    """Return what each column of an import is taken for, by its header."""
    return {column["header"]: column["target"] for column in made["mapping"]}


def in_blocks(header: str, *blocks: Sequence[str]) -> str:
    """Return a file that is kept in just these blocks of rows, at least five each, made long by a column of blanks."""
    lines = [f"{header},Padding"]
    for rows in blocks:
        length = BLOCK_CHARACTERS // len(rows) + 1
        lines += [f"{row},".ljust(length) for row in rows]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Worker:
    """Does what the worker does for the imports of one workspace, each block when the test says so."""

    services: Services
    workspace_id: UUID

    async def commit_block(self, made: dict[str, Any]) -> bool:
        """Commit the next block; returns whether there is more to do."""
        async with transaction(self.services.pool, Scope(workspace_id=self.workspace_id)) as session:
            now = self.services.clock.now()
            return await commits.commit_block(session, self.workspace_id, UUID(made["id"]), now)

    async def undo_block(self, made: dict[str, Any]) -> bool:
        """Undo the next block; returns whether there is more to do."""
        async with transaction(self.services.pool, Scope(workspace_id=self.workspace_id)) as session:
            now = self.services.clock.now()
            return await undos.undo_block(session, self.workspace_id, UUID(made["id"]), now)

    async def commit(self, made: dict[str, Any]) -> None:
        """Commit all blocks that are left, as the job does."""
        while await self.commit_block(made):
            pass

    async def undo(self, made: dict[str, Any]) -> None:
        """Undo all blocks that are left, as the job does."""
        while await self.undo_block(made):
            pass


class Tables:
    """Reads and writes the tables as their owner, who is bound by no policy."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self.connection = connection

    def run(self, statement: str, *parameters: object) -> list[Row]:
        """Run a statement and return its rows, if it has any."""
        cursor = self.connection.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    def counts(self) -> dict[str, int]:
        """Return how many rows each table of the product holds."""
        names = self.run("SELECT tablename FROM pg_tables WHERE schemaname = 'app' ORDER BY tablename")
        tables = [name for row in names for name in row.values()]
        return {name: self.run(f"SELECT count(*) AS rows FROM app.{name}")[0]["rows"] for name in tables}

    def leads(self, workspace_id: str) -> dict[str, Row]:
        """Return a workspace's live leads by address: all columns, but for when they were last changed."""
        found = self.run("SELECT * FROM app.leads WHERE workspace_id = %s AND deleted_at IS NULL", workspace_id)
        return {row["email"]: {name: row[name] for name in row if name != "updated_at"} for row in found}

    def lists(self, workspace_id: str) -> dict[UUID, int]:
        """Return what the workspace's live lists say how many leads they hold; each must be right."""
        found = self.run(
            "SELECT list.id, lead_count, count(lead.id) AS leads FROM app.lead_lists AS list"
            "  LEFT JOIN app.leads AS lead ON lead.list_id = list.id AND lead.deleted_at IS NULL"
            " WHERE list.workspace_id = %s AND list.deleted_at IS NULL GROUP BY list.id",
            workspace_id,
        )
        assert [row for row in found if row["lead_count"] != row["leads"]] == []
        return {row["id"]: row["lead_count"] for row in found}


@pytest.fixture
def tables(database_url: str) -> Iterator[Tables]:
    """Read and write the tables as their owner."""
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield Tables(connection)


@pytest.fixture
def worker(services: Services, workspace: str) -> Worker:
    """Do the worker's part by hand, a block at a time."""
    return Worker(services, UUID(workspace))
