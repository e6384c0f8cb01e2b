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


def references(part: Any) -> Iterator[str]:
    """Yield what each reference of a part of the document leads to, and each discriminator."""
    if isinstance(part, dict):
        yield from [part["$ref"]] if "$ref" in part else []
        yield from part.get("discriminator", {}).get("mapping", {}).values()
    if isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from references(inner)


def at(document: dict[str, Any], reference: str) -> Any:
    """Return what a reference leads to; fails where there is nothing."""
    place, *parts = reference.split("/")
    assert place == "#"
    found: Any = document
    for part in parts:
        found = found[part]
    return found


async def test_every_reference_resolves(app_client: httpx.AsyncClient) -> None:
    """OpenAPI 3.1 without a loose end: each schema that is named is there, and each that is there is named."""
    document = await contract(app_client)
    assert document["openapi"].startswith("3.1")
    named = set(references(document))
    assert all(at(document, reference) for reference in named)
    assert named == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert "#/components/schemas/HTTPValidationError" not in named


async def test_every_operation_has_a_stable_name_and_a_sentence(app_client: httpx.AsyncClient) -> None:
    """Operation ids are unique words of ours, and each operation says what it does."""
    found = [one for *_, one in operations(await contract(app_client))]
    ids = [one["operationId"] for one in found]
    assert len(set(ids)) == len(ids)
    assert all(one.isalnum() and one[0].islower() for one in ids)
    assert all(one.get("description", "").endswith(".") for one in found)


async def test_every_error_is_declared(app_client: httpx.AsyncClient) -> None:
    """What any operation of its kind can answer is declared as a problem; under a workspace that includes 404."""
    found = list(operations(await contract(app_client)))
    assert {path for path, _, one in found if not one.get("security")} == {
        "/u/{token}",
        "/api/webhooks/everlytic/{token}",
        "/api/webhooks/inbound/{token}",
    }
    for path, method, one in found:
        required = {"422", "503"}
        if one.get("security"):
            required |= {"401", "429"} | ({"409"} if method == "post" else set())
        if "requestBody" in one:
            required.add("413")
        if "{workspaceId}" in path:
            required.add("404")
        declared = {status for status, answer in one["responses"].items() if PROBLEM in answer.get("content", {})}
        assert required <= declared, (path, method, required - declared)


async def test_every_post_of_a_caller_takes_an_idempotency_key(app_client: httpx.AsyncClient) -> None:
    """The header is declared on each POST that a caller authenticates, and on nothing else."""
    for path, method, one in operations(await contract(app_client)):
        names = [parameter["name"] for parameter in one.get("parameters", [])]
        expected = 1 if method == "post" and one.get("security") else 0
        assert names.count("Idempotency-Key") == expected, (path, method)


async def test_every_list_is_paged(app_client: httpx.AsyncClient) -> None:
    """A GET that answers a list answers pages: cursor and limit in, items and the next cursor out; days alone are a
    list of their own."""
    document = await contract(app_client)
    for path, method, one in operations(document):
        schema = one["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
        if method != "get":
            continue
        assert schema.get("type") != "array" or path.endswith("/timeseries"), path
        fields = at(document, schema["$ref"])["properties"] if "$ref" in schema else {}
        taken = {parameter["name"] for parameter in one.get("parameters", [])}
        is_list = one["operationId"].startswith("list") or one["operationId"] == "getLeadTimeline"
        assert ("items" in fields, "nextCursor" in fields, {"cursor", "limit"} <= taken) == (is_list,) * 3, path


async def test_fields_are_camel_case(app_client: httpx.AsyncClient) -> None:
    """No property and no parameter of the wire has an underscore."""
    document = await contract(app_client)
    fields = [name for schema in document["components"]["schemas"].values() for name in schema.get("properties", {})]
    fields += [parameter["name"] for *_, one in operations(document) for parameter in one.get("parameters", [])]
    assert [name for name in fields if "_" in name] == []
