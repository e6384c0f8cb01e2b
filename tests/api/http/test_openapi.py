import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

PROBLEM = "application/problem+json"


async def contract(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return the document."""
    document: dict[str, Any] = (await client.get("/openapi.json")).json()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


async def test_every_reference_resolves(app_client: httpx.AsyncClient) -> None:
    """OpenAPI 3.1 without a loose end: each schema that is named is there."""
    document = await contract(app_client)
    assert document["openapi"].startswith("3.1")
    named = {part.partition('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert named <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_every_operation_has_a_stable_name_and_a_sentence(app_client: httpx.AsyncClient) -> None:
    """Operation ids are unique words of ours, and each operation says what it does."""
    found = [one for *_, one in operations(await contract(app_client))]
    ids = [one["operationId"] for one in found]
    assert len(set(ids)) == len(ids)
    assert all(one.isalnum() and one[0].islower() for one in ids)
    assert all(one.get("description", "").endswith(".") for one in found)


async def test_every_error_is_declared(app_client: httpx.AsyncClient) -> None:
    """What any operation of its kind can answer is declared as a problem; under a workspace that includes 404."""
    for path, method, one in operations(await contract(app_client)):
        wanted = {"422", "503"}
        if one.get("security"):
            wanted |= {"401", "429"} | ({"409"} if method == "post" else set())
        if "requestBody" in one:
            wanted.add("413")
        if "{workspaceId}" in path:
            wanted.add("404")
        declared = {status for status, answer in one["responses"].items() if PROBLEM in answer.get("content", {})}
        assert wanted <= declared, (path, method, wanted - declared)


async def test_every_post_of_a_caller_takes_an_idempotency_key(app_client: httpx.AsyncClient) -> None:
    """The header is declared on each POST that a caller authenticates, and on nothing else."""
    for path, method, one in operations(await contract(app_client)):
        names = [parameter["name"] for parameter in one.get("parameters", [])]
        expected = 1 if method == "post" and one.get("security") else 0
        assert names.count("Idempotency-Key") == expected, (path, method)


async def test_every_list_is_paged(app_client: httpx.AsyncClient) -> None:
    """A GET that answers a list answers pages: cursor and limit in, items and the next cursor out."""
    document = await contract(app_client)
    for path, method, one in operations(document):
        content = one["responses"].get("200", {}).get("content", {}).get("application/json", {})
        assert method != "get" or content.get("schema", {}).get("type") != "array" or path.endswith("/timeseries"), path


async def test_fields_are_camel_case(app_client: httpx.AsyncClient) -> None:
    """No property and no parameter of the wire has an underscore."""
    document = await contract(app_client)
    fields = [name for schema in document["components"]["schemas"].values() for name in schema.get("properties", {})]
    fields += [parameter["name"] for *_, one in operations(document) for parameter in one.get("parameters", [])]
    assert [name for name in fields if "_" in name] == []
