import httpx
import pytest

pytestmark = pytest.mark.anyio


async def test_before_dbt_has_run_there_is_a_clear_answer(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Where the marts do not exist yet every endpoint answers 404 with a code of its own, and never 500."""
    paths = ("campaigns", "campaigns/c", "timeseries", "aggregate")
    files = ("campaigns.csv", "campaigns/c/steps.csv", "timeseries.csv", "aggregate.csv")
    for path in (*paths, "timeseries?campaignId=c", *files):
        response = await app_client.get(f"/api/metrics/{workspace}/{path}")
        assert (response.status_code, response.json()["code"]) == (404, "analytics_not_built"), path
