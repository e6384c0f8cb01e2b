"""The settings of each kind of transaction of the service, once the connection is back in the pool."""

import re

import httpx
import pytest
from sqlalchemy import event

from api.http.resources import Services
from tests.api.sending_workspace import Outreach
from tests.transaction_settings import outlived, read_settings, setting_names

pytestmark = pytest.mark.anyio


async def test_each_kind_of_request_leaves_no_setting(outreach: Outreach, services: Services) -> None:
    """Requests that succeed or fail, webhooks, links, replies, jobs and live queries leave all settings empty."""
    left: list[dict[str, str]] = []

    @event.listens_for(services.pool.sync_engine, "checkin")
    def _read(connection: object, _entry: object) -> None:
        settings = dict(zip(setting_names(), read_settings(connection), strict=False)) if connection else {}
        left.extend([{name: value for name, value in settings.items() if name.startswith("app.")}] if settings else [])

    _, mail = await outreach.send_one()
    link = re.search(r"/u/[\w.~-]+", mail["text"])
    assert link is not None
    strange = {"Authorization": "Bearer sm_nobody"}
    made = {"email": "sipho@lead.example"}
    client, path = outreach.client, outreach.path
    async with httpx.AsyncClient() as provider:
        for answer, status in (
            (client.get(path), 200),
            (client.get(path, headers=strange), 401),
            (client.post(f"{path}/leads", json=made, headers={"Idempotency-Key": "a"}), 201),
            (client.post(f"{path}/leads", json=made, headers={"Idempotency-Key": "a"}), 201),
            (client.post(f"{path}/leads", json=made), 409),
            (client.get(f"{path}/live", params={"query": f"{path}/leads"}), 200),
            (provider.post(outreach.inbound_url, content=b"From: thandi@lead.example\r\n\r\nTell me more."), 200),
            (client.post(link[0]), 200),
        ):
            assert (await answer).status_code == status
    await outreach.hear(mail, "delivered")

    assert len(left) > 20
    assert [settings for settings in left if any(settings.values())] == []
    assert outlived == []
