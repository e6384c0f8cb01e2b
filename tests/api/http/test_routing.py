import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from api.http.errors import Malformed
from api.http.routing import ContractRoute, create_router, read_json
from api.routes import ROUTERS

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(VALUES)
def test_what_can_be_stored_is_read_as_it_is(value: Any) -> None:
    """Every value without NUL comes out as it went in, and one with NUL is refused, however the text is escaped."""
    for as_ascii in (True, False):
        text = json.dumps(value, ensure_ascii=as_ascii).encode()
        if "\x00" in texts_in(value):
            with pytest.raises(Malformed):
                read_json(text)
        else:
            assert read_json(text) == value


def texts_in(value: Any) -> str:
    """Return all texts in a value, one after the other."""
    if isinstance(value, dict):
        return "".join(name + texts_in(held) for name, held in value.items())
    if isinstance(value, list):
        return "".join(texts_in(held) for held in value)
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(
    ("body", "place", "says"),
    [
        (b'{"name": ', ["body"], "is not valid JSON"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', ["body", "c"], "Duplicate key: c."),
        (b'{"a": ["x", {"b": "\\u0000"}]}', ["body", "a", 1, "b"], "a.1.b contains a NUL character"),
        (b'{"a": "\\ud800"}', ["body", "a"], "half of a surrogate pair"),
        (b'{"a\\udfff": 1}', ["body"], "half of a surrogate pair"),
        (b'{"a": NaN}', ["body"], "contains NaN"),
        (b'{"a": -Infinity}', ["body"], "contains -Infinity"),
        (b'{"a": "\xff"}', ["body"], "is not valid UTF-8 at byte 7"),
        (b'{"a": "\xed\xa0\x80"}', ["body"], "is not valid UTF-8 at byte 7"),
        (b'{"a": ' + b"9" * 601 + b"}", ["body"], "contains a number longer than 600 characters"),
        (b"[" * 65 + b"]" * 65, ["body"], "nests deeper than 64 levels"),
        (b"[" * 100_000, ["body"], "nests deeper than 64 levels"),
    ],
)
def test_malformed_json_names_its_place(body: bytes, place: list[str | int], says: str) -> None:
    """Invalid JSON, duplicate keys and unstorable text are refused with their location and the reason."""
    with pytest.raises(Malformed) as refused:
        read_json(body)
    (problem,) = refused.value.errors
    assert problem["location"] == place
    assert says in problem["message"]


def test_what_is_at_a_limit_is_read() -> None:
    """Sixty-four levels and a number of 600 digits are read; one beyond is refused with a sentence of its own."""
    assert read_json(b"[" * 64 + b"]" * 64)
    assert read_json(b"9" * 600) == 10**600 - 1
    for body, sentence in (
        (b"[" * 65 + b"]" * 65, "The request body nests deeper than 64 levels."),
        (b"9" * 601, "The request body contains a number longer than 600 characters."),
    ):
        with pytest.raises(Malformed) as refused:
            read_json(body)
        assert refused.value.detail == sentence


def test_a_whole_pair_is_a_character() -> None:
    """An escaped pair of surrogates is one character, as JSON has it."""
    assert read_json(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


@pytest.mark.anyio
async def test_a_malformed_body_is_a_422_that_writes_nothing(app_client: httpx.AsyncClient, workspace: str) -> None:
    """The answer over HTTP is a problem that names the field, and the list of leads stays empty."""
    leads = f"/api/workspaces/{workspace}/leads"
    headers = {"Content-Type": "application/json"}
    twice = b'{"email": "a@lead.example", "email": "b@lead.example"}'
    nul = b'{"email": "a@lead.example", "customFields": {"note": "x\\u0000"}}'
    for body, place in ((twice, ["body", "email"]), (nul, ["body", "customFields", "note"])):
        response = await app_client.post(leads, content=body, headers=headers)
        assert response.status_code == 422
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["errors"][0]["location"] == place
    assert (await app_client.get(leads)).json()["items"] == []


@pytest.mark.anyio
async def test_nul_in_a_query_names_the_parameter(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A NUL in any query parameter is a 422 that points at it."""
    response = await app_client.get(f"/api/workspaces/{workspace}/leads?q=a%00b")
    assert (response.status_code, response.json()["errors"][0]["location"]) == (422, ["query", "q"])


@pytest.mark.anyio
async def test_json_needs_its_content_type(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A body without the content type of JSON is refused, so that no web page can post on a user's behalf."""
    response = await app_client.post(f"/api/workspaces/{workspace}/leads", content=b'{"email": "a@lead.example"}')
    assert (response.status_code, response.json()["errors"][0]["location"]) == (415, ["header", "Content-Type"])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "names", "says"),
    [
        ("statu=New", ["statu"], "did you mean status?"),
        ("Status=New", ["Status"], "did you mean status?"),
        ("limit=5&x=1&y=2", ["x", "y"], "this request takes cursor, limit, listId, q, segment"),
        ("delta=json-patch&x=1", ["x"], "this request takes"),
        (f"{'a' * 3000}=1", ["a" * 60], "There is no query parameter " + "a" * 60 + ";"),
    ],
)
async def test_unknown_query_parameters_are_refused(
    app_client: httpx.AsyncClient, workspace: str, query: str, names: list[str], says: str
) -> None:
    """A query parameter that a list does not have is named with what was meant, instead of all rows being answered."""
    response = await app_client.get(f"/api/workspaces/{workspace}/leads?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "malformed")
    assert [error["location"] for error in response.json()["errors"]] == [["query", name] for name in names]
    assert says in response.json()["detail"]


@pytest.mark.anyio
async def test_at_most_a_hundred_unknown_parameters_are_named(app_client: httpx.AsyncClient, workspace: str) -> None:
    """However many unknown parameters a URL has, the problem stays short."""
    query = "&".join(f"p{number}=1" for number in range(101))
    response = await app_client.get(f"/api/workspaces/{workspace}?{query}")
    assert len(response.json()["errors"]) == 100
    assert response.json()["detail"] == "There is no query parameter p0; this request takes none."


@pytest.mark.anyio
async def test_the_routes_take_the_query_parameters_of_the_contract(app: FastAPI) -> None:
    """What a route takes is what OpenAPI lists for it, so that no documented parameter is refused."""
    paths = app.openapi()["paths"]
    compared = 0
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, ContractRoute)]
    for route in (route for route in routes if route.include_in_schema):
        for method in route.methods or ():
            parameters = paths[route.path_format][method.lower()].get("parameters", [])
            listed = sorted(parameter["name"] for parameter in parameters if parameter["in"] == "query")
            assert route.query_parameters == listed, route.path_format
            compared += 1
    assert compared > 80


@pytest.mark.anyio
async def test_an_error_is_named_by_the_fields_of_the_body(app_client: httpx.AsyncClient, workspace: str) -> None:
    """The location of an error has the names and positions of the JSON alone, also below a choice of types."""
    path = f"/api/workspaces/{workspace}/leads"
    lead = {"email": "a@lead.example", "customFields": {"a": [1], "b": "c" * 100_000}}
    refused = await app_client.post(path, json=lead)
    assert {tuple(error["location"]) for error in refused.json()["errors"]} == {
        ("body", "customFields", "a"),
        ("body", "customFields", "b"),
    }
    bulk = await app_client.post(f"{path}/bulk", json={"leads": [lead]})
    locations = {tuple(error["location"]) for error in bulk.json()["results"][0]["errors"]}
    assert locations == {("customFields", "a"), ("customFields", "b")}


@pytest.mark.anyio
async def test_a_form_that_cannot_be_read_is_malformed(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A multipart body without its boundary is a 422, as every malformed body is."""
    response = await app_client.post(
        f"/api/workspaces/{workspace}/imports", content=b"x", headers={"Content-Type": "multipart/form-data"}
    )
    assert (response.status_code, response.json()["code"]) == (422, "malformed")


@pytest.mark.anyio
@pytest.mark.parametrize("mounted_at", ["", "/behind/a/proxy"])
async def test_a_room_answers_what_is_under_its_prefix(mounted_at: str) -> None:
    """A path within a room finds its route, wherever the service is mounted; a neighbour's does not, and is 404."""
    room = create_router("/api/things/{thingId}/parts", "parts")

    @room.get("/{partId}.csv")
    async def part(thingId: str, partId: str) -> str:  # noqa: N803 - as the path spells them
        return f"{thingId} {partId}"

    app = FastAPI()
    app.include_router(room)
    transport = httpx.ASGITransport(app, root_path=mounted_at)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        found = await client.get(f"{mounted_at}/api/things/a.b/parts/1.csv")
        assert (found.status_code, found.json()) == (200, "a.b 1")
        assert (await client.post(f"{mounted_at}/api/things/a.b/parts/1.csv")).status_code == 405
        for path in ("/api/things/a/b/parts/1.csv", "/api/things/parts/1.csv", "/api/things/a/parts", "/parts/1.csv"):
            assert (await client.get(mounted_at + path)).status_code == 404, path
