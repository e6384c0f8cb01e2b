"""Making leads and lists over HTTP."""

from typing import Any

import httpx
import pytest

UNKNOWN_ID = "018f0000-0000-7000-8000-000000000000"


@pytest.fixture
def base(workspace: str) -> str:
    """Where the workspace's resources are."""
    return f"/api/workspaces/{workspace}"


async def add(client: httpx.AsyncClient, base: str, email: str, **fields: Any) -> dict[str, Any]:
    """Create a lead and return it."""
    response = await client.post(f"{base}/leads", json={"email": email, **fields})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def add_list(client: httpx.AsyncClient, base: str, name: str = "Prospects") -> str:
    """Create a list and return its id."""
    response = await client.post(f"{base}/lead-lists", json={"name": name})
    assert response.status_code == 201, response.text
    list_id: str = response.json()["id"]
    return list_id


async def count_of(client: httpx.AsyncClient, base: str, list_id: str) -> int:
    """Return what a list says its count is."""
    count: int = (await client.get(f"{base}/lead-lists/{list_id}")).json()["leadCount"]
    return count


async def leads_of(client: httpx.AsyncClient, base: str, **query: str) -> list[dict[str, Any]]:
    """Return the leads that a query finds, on one page."""
    response = await client.get(f"{base}/leads", params={"limit": "500", **query})
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items
