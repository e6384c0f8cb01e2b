import httpx
import pytest

pytestmark = pytest.mark.anyio


async def test_missing_marts_return_404(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Before dbt has run every endpoint returns 404 with its own code, and never 500."""
    paths = ("campaigns", "campaigns/c", "timeseries", "aggregate")
    files = ("campaigns.csv", "campaigns/c/steps.csv", "timeseries.csv", "aggregate.csv")
    for path in (*paths, "timeseries?campaignId=c", *files):
        response = await app_client.get(f"/api/metrics/{workspace}/{path}")
        assert (response.status_code, response.json()["code"]) == (404, "analytics_not_built"), path
