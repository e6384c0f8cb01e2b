from typing import Any

import httpx
import pytest

from tests.api.importing import Imports, mapped
from tests.api.running import RunJobs

pytestmark = pytest.mark.anyio

HEADERS = "Mail,Second,Who,Vertical"
ROW = "ann@example.com,ann@home.example,Lee Ann,Retail"
SETTLED: list[dict[str, Any]] = [
    {"position": 0, "target": "custom", "customName": "Old address"},
    {"position": 1, "target": "email"},
    {"position": 2, "target": "fullName"},
    {"position": 3, "target": "ignore"},
]
EXPECTED = {"mail": "custom", "second": "email", "who": "fullName", "vertical": "ignore"}


async def settle(imports: Imports, made: dict[str, Any], columns: list[dict[str, Any]]) -> None:
    """Say what the columns of an import are."""
    put = await imports.client.put(f"{imports.base}/imports/{made['id']}/mapping", json={"columns": columns})
    assert put.status_code == 200, put.text


def targets(made: dict[str, Any]) -> dict[str, str]:
    """Return what each column is taken for, by its header in lower case."""
    return {header.strip().lower(): target for header, target in mapped(made).items()}


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADERS}\n{ROW}\n",
        "MAIL,second,wHO,VERTICAL\neve@example.com,eve@home.example,Roe Eve,Toys\n",
        "Vertical;Who;Second;Mail\nToys;Roe Eve;eve@home.example;eve@example.com\n",
    ],
    ids=["same", "other case", "other order"],
)
async def test_the_next_file_with_the_same_headers(imports: Imports, text: str) -> None:
    """What a person settled is taken over column by column, as theirs, whatever the order or case of the headers."""
    first = await imports.uploaded(f"{HEADERS}\n{ROW}\n")
    assert targets(first) != EXPECTED
    await settle(imports, first, SETTLED)
    second = await imports.uploaded(text)
    assert targets(second) == EXPECTED
    assert {one["decidedBy"] for one in second["mapping"]} == {"person"}
    assert {one["confidence"] for one in second["mapping"]} == {1.0}
    names = {one["header"].lower(): one["customName"] for one in second["mapping"] if one["customName"]}
    assert names == {"mail": "Old address"}
    await imports.commit(second)
    ((address, lead),) = (await imports.leads()).items()
    assert address.endswith("@home.example")
    assert list(lead["customFields"]) == ["Old address"]


async def test_other_headers(imports: Imports) -> None:
    """A file with a column more is another kind of file, and judged by the rules."""
    await settle(imports, await imports.uploaded(f"{HEADERS}\n{ROW}\n"), SETTLED)
    other = await imports.uploaded(f"{HEADERS},City\n{ROW},Ulm\n")
    assert "person" not in {one["decidedBy"] for one in other["mapping"]}


async def test_the_last_word_counts(imports: Imports) -> None:
    """Settled anew, the newer mapping is the one remembered."""
    first = await imports.uploaded(f"{HEADERS}\n{ROW}\n")
    await settle(imports, first, SETTLED)
    await settle(imports, first, [*SETTLED[:3], {"position": 3, "target": "company"}])
    assert targets(await imports.uploaded(f"{HEADERS}\n{ROW}\n"))["vertical"] == "company"


async def test_another_workspace(imports: Imports, app_client: httpx.AsyncClient, run_jobs: RunJobs) -> None:
    """What is settled in one workspace says nothing in another of the same account."""
    first = await imports.uploaded(f"{HEADERS}\n{ROW}\n")
    await settle(imports, first, SETTLED)
    body = {"name": "Other", "defaultFromName": "Ann", "defaultFromEmail": "ann@acme.example"}
    workspace = (await app_client.post("/api/workspaces", json=body)).json()["id"]
    other = await Imports(app_client, workspace, run_jobs).uploaded(f"{HEADERS}\n{ROW}\n")
    assert mapped(other) == mapped(first)
    assert "person" not in {one["decidedBy"] for one in other["mapping"]}


async def test_a_mapping_that_is_refused(imports: Imports) -> None:
    """A mapping that is refused is not remembered."""
    first = await imports.uploaded(f"{HEADERS}\n{ROW}\n")
    without_email = [{**one, "target": "ignore"} for one in SETTLED]
    put = await imports.client.put(f"{imports.base}/imports/{first['id']}/mapping", json={"columns": without_email})
    assert put.status_code == 422
    assert targets(await imports.uploaded(f"{HEADERS}\n{ROW}\n")) == targets(first)
