import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from api.http.resources import Services
from domain.clock import Clock
from tests.api.lead_requests import add
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

ORDER = ("lead_created", "draft_created", "draft_sent")


async def list_items(outreach: Outreach, lead_id: str, **query: str) -> list[dict[str, Any]]:
    """Return a lead's whole timeline, newest first, page by page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await outreach.get(f"/leads/{lead_id}/timeline", **query, **cursor)
        items += page["items"]
        if page["nextCursor"] is None:
            return items
        cursor = {"cursor": page["nextCursor"]}


async def test_everything_that_happened(outreach: Outreach) -> None:
    """What a lead went through is listed in one order, with where it came from and what it was about."""
    lead_id, mail = await outreach.send_one()
    await outreach.hear(mail, "delivered")
    await outreach.hear(mail, "bounce", bounce_type="soft")
    await outreach.post(f"/leads/{lead_id}/unsubscribe")
    other = await outreach.add_lead("other@lead.example")

    items = await list_items(outreach, lead_id)

    kinds = [item["kind"] for item in items]
    assert sorted(kinds) == sorted(
        [
            "lead_created",
            "enrolled",
            *["draft_created"] * 2,
            "draft_sent",
            *["lead_moved"] * 2,
            "enrollment_moved",
            # The provider may still have this to say when it is asked for the rest.
            *{kind for kind in kinds if kind == "email_sent"},
            "email_delivered",
            "email_bounced",
            "draft_failed",
            "suppressed",
        ]
    )
    by_kind = {item["kind"]: item for item in items}
    times = [datetime.fromisoformat(item["at"]) for item in items]
    assert times == sorted(times, reverse=True)
    assert len({item["id"] for item in items}) == len(items)
    assert (by_kind["draft_sent"]["title"], by_kind["draft_sent"]["data"]["draftId"]) == ("One", mail["message_id"])
    assert by_kind["email_bounced"]["data"]["bounceType"] == "soft"
    moves = [item["title"] for item in items if item["kind"] == "lead_moved"]
    assert moves == ["Contacted → Unsubscribed", "New → Contacted"]
    assert by_kind["enrollment_moved"]["data"]["to"] == "unsubscribed"
    assert by_kind["suppressed"]["data"]["reason"] == "unsubscribed"
    assert [item["kind"] for item in await list_items(outreach, other)] == ["lead_created"]


async def test_one_order_on_a_fast_clock(outreach: Outreach, services: Services) -> None:
    """Where a business day takes six seconds, a lead is created before its draft, and its draft before its mail."""
    fast = Clock(time.time(), datetime(2026, 3, 2, 9, tzinfo=UTC), 14_400)
    services.clock.real_start, services.clock.virtual_start = fast.real_start, fast.virtual_start
    services.clock.speed = fast.speed
    lead_id, _ = await outreach.send_one()

    shown = [item for item in reversed(await list_items(outreach, lead_id)) if item["kind"] in ORDER]
    assert list(dict.fromkeys(item["kind"] for item in shown)) == list(ORDER)
    assert datetime.fromisoformat(shown[0]["at"]) >= fast.virtual_start
    assert datetime.fromisoformat(shown[-1]["at"]) <= fast.now()


async def test_pages(outreach: Outreach) -> None:
    """Pages of any size list the same items, and a cursor is good for its own lead alone."""
    lead_id, _ = await outreach.send_one()
    whole = await list_items(outreach, lead_id)
    assert len(whole) > 4
    for limit in ("1", "2", "3"):
        assert await list_items(outreach, lead_id, limit=limit) == whole
    other = await outreach.add_lead("other@lead.example")
    cursor = (await outreach.get(f"/leads/{lead_id}/timeline", limit="1"))["nextCursor"]
    refused = await outreach.client.get(f"{outreach.path}/leads/{other}/timeline", params={"cursor": cursor})
    assert refused.status_code == 422


async def test_suppressions_come_and_go(app_client: httpx.AsyncClient, base: str) -> None:
    """A suppression of the address or its domain is listed, also after it was removed, with the reason for that."""
    lead = await add(app_client, base, "ann@example.com")
    for body in ({"email": "ann@example.com"}, {"domain": "example.com"}, {"email": "bob@example.com"}):
        made = await app_client.post(f"{base}/suppressions", json=body)
        assert made.status_code == 201
        path = f"{base}/suppressions/{made.json()['id']}"
        assert (await app_client.delete(path, params={"reason": "by mistake"})).status_code == 204
    items = (await app_client.get(f"{base}/leads/{lead['id']}/timeline")).json()["items"]
    seen = [(item["kind"], item["data"]["kind"], item["data"].get("removedBecause")) for item in items[:-1]]
    assert seen == [
        ("suppression_removed", "domain", "by mistake"),
        ("suppressed", "domain", None),
        ("suppression_removed", "email", "by mistake"),
        ("suppressed", "email", None),
    ]
