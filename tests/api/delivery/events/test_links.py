"""Another unsubscribe link for a recipient whose link cannot be read."""

import re
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import anyio.to_thread
import httpx
import pytest
from fastapi import FastAPI

from api.http.resources import Services
from tests.api.running import stop_clock
from tests.api.sending_workspace import Outreach
from tests.business_clock import business_now

pytestmark = pytest.mark.anyio

ADDRESS = "thandi@lead.example"
BROKEN = "/u/eyJ4broken"
SUBJECT = "Your unsubscribe link"
NewClient = Callable[..., httpx.AsyncClient]
NUMBERS = count(1)


@pytest.fixture
def new_client(app: FastAPI) -> NewClient:
    """Make clients without a login, each at another IP address if none is given."""

    def make(host: str = "") -> httpx.AsyncClient:
        number = next(NUMBERS)
        client = (host or f"10.9.{number // 256}.{number % 256}", 1)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=client), base_url="http://test")

    return make


def links(outreach: Outreach) -> list[dict[str, Any]]:
    """Return the mails that brought another link."""
    return [mail for mail in outreach.mails() if mail["subject"] == SUBJECT]


async def ask(new_client: NewClient, address: str, path: str = BROKEN) -> httpx.Response:
    """Fill in the form of the page for a broken link."""
    return await new_client().post(path, data={"email": address})


def path_in(mail: dict[str, Any]) -> str:
    """Return the path of the unsubscribe link in a mail."""
    found = re.search(r"/u/[\w-]+", mail["text"])
    assert found is not None
    return found[0]


async def test_the_form_sends_a_link_that_works(outreach: Outreach, new_client: NewClient) -> None:
    """A person whose link is broken types the address and gets another link, which unsubscribes them."""
    await outreach.send_one(ADDRESS)
    page = await new_client().get(BROKEN)
    assert page.status_code == 404
    assert '<form method="post">' in page.text
    assert 'name="email"' in page.text

    answer = await ask(new_client, f" {ADDRESS.upper()} ")
    await outreach.run_jobs()

    assert (answer.status_code, answer.headers["content-type"]) == (202, "text/html; charset=utf-8")
    (mail,) = links(outreach)
    assert mail["recipient"] == ADDRESS
    assert mail["custom_headers"]["List-Unsubscribe-Post"] == ["List-Unsubscribe=One-Click"]
    assert "1 Long Street" in mail["text"]
    pressed = await new_client().post(path_in(mail), data={"List-Unsubscribe": "One-Click"})
    assert "You are unsubscribed" in pressed.text
    (suppression,) = (await outreach.get("/suppressions"))["items"]
    assert (suppression["value"], suppression["reason"]) == (ADDRESS, "unsubscribed")


async def test_no_figure_counts_the_mail(outreach: Outreach, new_client: NewClient) -> None:
    """The mail with another link is no mail of a sequence: what happens to it adds no event."""
    await outreach.send_one(ADDRESS)
    await ask(new_client, ADDRESS)
    await outreach.run_jobs()
    await anyio.to_thread.run_sync(outreach.sandbox.settle)
    await outreach.run_jobs()
    (mail,) = links(outreach)
    before = (await outreach.get("/events"))["items"]
    body = {"username": outreach.username, "transaction_id": mail["transaction_id"], "type": "bounce"}
    outreach.sandbox.tell("events", **body, data={"bounce_type": "hard"})
    await anyio.to_thread.run_sync(outreach.sandbox.settle)
    await outreach.run_jobs()
    assert "X-SalesMatter-Draft" not in mail["custom_headers"]
    assert (await outreach.get("/events"))["items"] == before


@pytest.mark.parametrize("address", ["stranger@lead.example", "thandi@other.example", "anna+thandi@lead.example"])
async def test_an_address_that_was_not_mailed(outreach: Outreach, new_client: NewClient, address: str) -> None:
    """An address that no mail was sent to gets none, and the page says the same."""
    await outreach.send_one(ADDRESS)
    known, unknown = await ask(new_client, ADDRESS), await ask(new_client, address)
    await outreach.run_jobs()
    assert [mail["recipient"] for mail in links(outreach)] == [ADDRESS]
    assert unknown.status_code == known.status_code
    assert unknown.text.replace(address, ADDRESS) == known.text


async def test_a_lead_that_was_not_mailed_yet(outreach: Outreach, new_client: NewClient) -> None:
    """A lead whose mail still waits for review gets no link."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead(ADDRESS))
    await ask(new_client, ADDRESS)
    await outreach.run_jobs()
    assert outreach.mails() == []


@pytest.mark.parametrize(("seconds", "number"), [(3599, 1), (3600, 2), (3601, 2)])
async def test_one_link_an_hour(
    outreach: Outreach, new_client: NewClient, services: Services, seconds: int, number: int
) -> None:
    """An address gets at most one link an hour, also if another client asks."""
    await outreach.send_one(ADDRESS)
    start = business_now()
    stop_clock(services.clock, start)
    await ask(new_client, ADDRESS)
    await outreach.run_jobs()
    stop_clock(services.clock, start + timedelta(seconds=seconds))
    await ask(new_client, ADDRESS)
    await outreach.run_jobs()
    assert len(links(outreach)) == number


@pytest.mark.parametrize(
    ("reason", "number"), [("manual", 1), ("hard_bounce", 1), ("unsubscribed", 0), ("complaint", 0)]
)
async def test_suppressed_addresses(outreach: Outreach, new_client: NewClient, reason: str, number: int) -> None:
    """A suppression does not keep back the link that its owner asked for; one who has said no needs none."""
    await outreach.send_one(ADDRESS)
    await outreach.post("/suppressions", {"email": ADDRESS, "reason": reason})
    await ask(new_client, ADDRESS)
    await outreach.run_jobs()
    assert len(links(outreach)) == number


@pytest.mark.parametrize(("reason", "number"), [("manual", 1), ("unsubscribed", 0), ("complaint", 0)])
async def test_a_no_after_the_request(outreach: Outreach, new_client: NewClient, reason: str, number: int) -> None:
    """Who says no between the request and the job gets no mail; a suppression by a user keeps nothing back."""
    await outreach.send_one(ADDRESS)
    await ask(new_client, ADDRESS)
    await outreach.post("/suppressions", {"email": "Thandi+other@lead.example", "reason": reason})
    await outreach.run_jobs()
    assert len(links(outreach)) == number


async def test_an_erased_person(outreach: Outreach, new_client: NewClient) -> None:
    """A person who is erased before the job runs gets no mail."""
    lead_id, _ = await outreach.send_one(ADDRESS)
    await ask(new_client, ADDRESS)
    await outreach.post(f"/leads/{lead_id}/erase")
    await outreach.run_jobs()
    assert links(outreach) == []


async def test_a_provider_that_takes_nothing(outreach: Outreach, new_client: NewClient, services: Services) -> None:
    """A link that Everlytic certainly did not take is sent later; nothing is sent a day after the request."""
    await outreach.send_one(ADDRESS)
    start = business_now()
    stop_clock(services.clock, start)
    outreach.fault("rate_limited")
    await ask(new_client, ADDRESS)
    await outreach.run_jobs()
    outreach.fault("rate_limited", 0)
    assert links(outreach) == []
    stop_clock(services.clock, start + timedelta(minutes=5))
    await outreach.run_jobs()
    assert len(links(outreach)) == 1


@pytest.mark.parametrize("host", ["10.8.0.1", "2001:db8::"])
async def test_requests_of_one_client(outreach: Outreach, new_client: NewClient, host: str) -> None:
    """One client, or one IPv6 network, may ask for ten links an hour; another client still may."""
    hosts = [host] * 11 if "." in host else [f"{host}{number}" for number in range(1, 12)]
    answers = [
        await new_client(host).post(BROKEN, data={"email": f"a{number}@lead.example"})
        for number, host in enumerate(hosts)
    ]
    assert [answer.status_code for answer in answers] == [202] * 10 + [429]
    assert answers[-1].headers["content-type"] == "text/html; charset=utf-8"
    assert (await ask(new_client, ADDRESS)).status_code == 202


@pytest.mark.parametrize("address", ["", "thandi", "@lead.example", "thandi@", "x" * 320 + "@lead.example", "\x00"])
async def test_what_is_no_address(new_client: NewClient, address: str) -> None:
    """The form comes back and says so."""
    answer = await ask(new_client, address)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "text/html; charset=utf-8")
    assert "not an email address" in answer.text


@pytest.mark.parametrize("path", [BROKEN, "/u", "/u/", "/U/x", "//u/x"])
@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
async def test_other_methods(new_client: NewClient, method: str, path: str) -> None:
    """Whatever a client tries on a link, it gets the methods or a page, and no JSON."""
    answer = await new_client().request(method, f"http://test{path}")
    assert answer.status_code == (204 if method == "OPTIONS" else 405)
    assert "GET" in answer.headers["Allow"]
    assert "json" not in answer.headers.get("content-type", "text/html")


@pytest.mark.parametrize("query", ["%00", "a=%00", "%ff=%fe", "%", "%zz", "a=%u0041", "\u00e4", "?" * 50])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_queries(outreach: Outreach, new_client: NewClient, method: str, query: str) -> None:
    """Whatever is put behind a link, it works."""
    _, mail = await outreach.send_one(ADDRESS)
    for path, status in ((path_in(mail), 200), (BROKEN, 404)):
        answer = await new_client().request(method, f"http://test{path}?{query}")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")


async def test_errors_are_pages(new_client: NewClient) -> None:
    """An error before the page is reached is a page too; elsewhere it is a problem."""
    headers = {"Content-Type": "application/json", "Content-Length": "99999999"}
    answers = [await new_client().post(path, headers=headers) for path in (BROKEN, "/U/x", "/users", "/api/u/x")]
    kinds = [answer.headers["content-type"].partition(";")[0] for answer in answers]
    assert [answer.status_code for answer in answers] == [413] * 4
    assert kinds == ["text/html"] * 2 + ["application/problem+json"] * 2
