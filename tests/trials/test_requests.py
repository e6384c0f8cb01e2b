"""Requests as proxies, clients and people write them: entity tags, idempotency keys and look-ups."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from tests.trials.trial import Trial, read_input

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("case", ["weak", "gzip", "two", "old"], ids=lambda case: f"53-{case}")
async def test_a_tag_that_a_proxy_changed(trial: Trial, case: str) -> None:
    """A current tag is taken, or refused by what the proxy did to it; an old one is 412 in any spelling."""
    lead = (await trial.outreach.post("/leads", {"email": "mia@lager.example"})).json()["id"]
    path, client = f"{trial.outreach.path}/leads/{lead}", trial.outreach.client
    shown = await client.get(path)
    tag = shown.headers["ETag"]
    assert (await client.get(path, headers={"If-None-Match": f"W/{tag}"})).status_code == 304
    if case == "old":
        assert (await client.patch(path, json={"role": "Buyer"}, headers={"If-Match": tag})).is_success
    written = {"weak": f"W/{tag}", "gzip": f'{tag[:-1]}-gzip"', "two": f'"x", {tag}', "old": f"W/{tag}"}[case]

    answer = await client.patch(path, json={"role": "Owner"}, headers={"If-Match": written})

    if case == "old":
        assert answer.status_code == 412
    elif not answer.is_success:
        # A proxy leaves the tag of such an answer alone; if it does not, the sentence does not blame a change.
        assert answer.status_code == 412
        assert "no-transform" in shown.headers.get("Cache-Control", "") or "changed" not in answer.json()["detail"]


class Keys:
    """Sends requests under an Idempotency-Key."""

    def __init__(self, trial: Trial) -> None:
        self.client, self.path = trial.outreach.client, trial.outreach.path

    async def post(self, path: str, body: object, key: str = "key", **options: Any) -> httpx.Response:
        """POST under a key, below the workspace unless the path is absolute."""
        url = path if path.startswith("/api") else f"{self.path}{path}"
        return await self.client.post(url, json=body, headers={"Idempotency-Key": key}, **options)

    async def count(self, path: str) -> int:
        """Return how many there are."""
        return len((await self.client.get(f"{self.path}{path}")).json()["items"])


async def _concurrent(keys: Keys) -> None:
    answers = await asyncio.gather(*(keys.post("/sequences", {"name": "A"}) for _ in range(20)))
    # Where the first is still at work the others are told to wait; asked again, they get its answer.
    again = [
        answer if answer.status_code == 201 else await keys.post("/sequences", {"name": "A"}) for answer in answers
    ]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.text for answer in again} == {again[0].text}
    assert await keys.count("/sequences") == 1


async def _another_body(keys: Keys) -> None:
    assert (await keys.post("/sequences", {"name": "A"})).status_code == 201
    assert (await keys.post("/sequences", {"name": "B"})).status_code == 409


async def _another_endpoint(keys: Keys) -> None:
    assert (await keys.post("/sequences", {"name": "A"})).status_code == 201
    assert (await keys.post("/lead-lists", {"name": "A"})).status_code == 409


async def _another_workspace(keys: Keys) -> None:
    first = await keys.post("/sequences", {"name": "A"})
    workspace = {"name": "Other", "defaultFromName": "Ann", "defaultFromEmail": "ann@acme.example"}
    other = (await keys.client.post("/api/workspaces", json=workspace)).json()["id"]
    answer = await keys.post(f"/api/workspaces/{other}/sequences", {"name": "A"})
    assert answer.status_code == 409 or answer.json()["id"] != first.json()["id"]


async def _key_order(keys: Keys) -> None:
    first = await keys.post("/sequences", {"name": "A", "autoApprove": True})
    headers = {"Idempotency-Key": "key", "Content-Type": "application/json"}
    again = await keys.client.post(
        f"{keys.path}/sequences", content='{ "autoApprove": true,\n "name": "A" }', headers=headers
    )
    assert (again.status_code, again.json(), again.headers.get("Idempotency-Replayed")) == (201, first.json(), "true")


async def _upload(keys: Keys) -> None:
    answers = []
    for boundary, data in (("b1", b"a@x.example"), ("b2", b"a@x.example"), ("b3", b"b@x.example")):
        file = b'Content-Disposition: form-data; name="file"; filename="p.csv"\r\n\r\nEmail\n' + data
        name = b'Content-Disposition: form-data; name="listName"\r\n\r\nPeople'
        parts = [file, name] if boundary == "b1" else [name, file]
        mark = boundary.encode()
        content = b"".join(b"--" + mark + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + mark + b"--\r\n"
        headers = {"Idempotency-Key": "key", "Content-Type": f"multipart/form-data; boundary={boundary}"}
        answers.append(await keys.client.post(f"{keys.path}/imports", content=content, headers=headers))
    assert [answer.status_code for answer in answers] == [202, 202, 409]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert await keys.count("/imports") == 1


async def _mended(keys: Keys) -> None:
    assert (await keys.post("/sequences", {"name": ""})).status_code == 422
    assert (await keys.post("/sequences", {"name": "A"})).status_code == 201


async def _odd_keys(keys: Keys) -> None:
    for key in ("k" * 300, ""):
        assert (await keys.post("/sequences", {"name": "A"}, key)).status_code == 422, key
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert (await keys.client.post(f"{keys.path}/sequences", json={"name": "A"}, headers=twice)).status_code == 422


async def _refused_first(keys: Keys) -> None:
    sequence = (await keys.client.post(f"{keys.path}/sequences", json={"name": "A"})).json()["id"]
    lead = (await keys.client.post(f"{keys.path}/leads", json={"email": "a@x.example"})).json()["id"]
    step = {"subject": "One", "bodyTemplate": "Hello"}
    await keys.client.post(f"{keys.path}/sequences/{sequence}/steps", json=step)
    body = {"sequenceId": sequence, "leadIds": [lead]}
    assert (await keys.post("/enrollments", body)).status_code == 409
    await keys.client.post(f"{keys.path}/sequences/{sequence}/activate")
    assert (await keys.post("/enrollments", body)).is_success


# Cases 9, 10 and 12 (a client that hangs up, a server that is killed, a key after a day) stand in
# tests/api/http/idempotency and tests/e2e.
KEYS = {
    "55-01": _concurrent,
    "55-02": _another_body,
    "55-03": _another_endpoint,
    "55-04": _another_workspace,
    "55-05": _key_order,
    "55-06": _upload,
    "55-08": _mended,
    "55-11": _odd_keys,
    "55-13": _refused_first,
}


@pytest.mark.parametrize("case", KEYS.values(), ids=KEYS)
async def test_corners_of_idempotency_keys(trial: Trial, case: Any) -> None:
    """A request under a key is done once; the same request is answered alike, another one is refused."""
    await case(Keys(trial))


QUERIES = read_input("56-plus-in-the-query-of-a-look-up/queries.txt").decode().splitlines()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"56-{re.sub('[^a-zA-Z0-9%+]', '-', query)}")
async def test_looking_up_an_address_with_a_plus(trial: Trial, query: str) -> None:
    """A suppressed address is found however it is escaped; what cannot be an address or a domain is refused."""
    await trial.outreach.post("/suppressions", {"email": "anna+b2b@kunde.example"})

    answer = await trial.outreach.client.get(f"{trial.outreach.path}/suppressions?{query}")

    if answer.status_code == 200:
        found = [item["value"] for item in answer.json()["items"]]
        is_domain = "kunde.example" in query and "b2b" not in query.lower()
        assert found == ([] if is_domain else ["anna+b2b@kunde.example"])
    else:
        assert answer.status_code == 422
        assert "B2B@Kunde" not in query
        assert "%2Bb2b%40" not in query
